// SPDX-License-Identifier: Apache-2.0
import { asMukonError } from "../../errors/mukon-error.ts";
import type { IdentityBackend, IdentityConfiguration } from "./types.ts";
import {
  areUserRecordsServed,
  createUserRecord,
  type NewUser,
  removeUserRecord,
} from "./user-records.ts";
import { createUser, removeUser } from "./useradd.ts";

/** What a back end does; both are idempotent when they remove. */
interface Backend {
  create(user: NewUser): Promise<void>;
  remove(user: NewUser): Promise<void>;
}

const BACKENDS: Record<IdentityBackend, Backend> = {
  "user-records": {
    create: createUserRecord,
    remove: async (user) => removeUserRecord(user),
  },
  useradd: { create: createUser, remove: removeUser },
};

/** Makes the name. `announce` is called before each attempt, with the back end that is tried. */
export async function createName(
  user: NewUser,
  choice: IdentityConfiguration["identityBackend"],
  announce: (backend: IdentityBackend) => void,
): Promise<IdentityBackend> {
  if (choice === "useradd" || (choice === "auto" && !areUserRecordsServed())) {
    announce("useradd");
    await BACKENDS.useradd.create(user);
    return "useradd";
  }
  announce("user-records");
  try {
    await BACKENDS["user-records"].create(user);
    return "user-records";
  } catch (error) {
    const isNotServed = asMukonError(error).code === "USER_RECORDS_NOT_SERVED";
    if (choice !== "auto" || !isNotServed) throw error;
  }
  return await createName(user, "useradd", announce);
}

export async function removeName(user: NewUser, backend: IdentityBackend): Promise<void> {
  await BACKENDS[backend].remove(user);
}
