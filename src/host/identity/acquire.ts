// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { identitiesDirectory } from "../../linux/paths.ts";
import type { Journal } from "../journal/journal.ts";
import { ensureRootOnlyDirectory } from "../run-directories.ts";
import { namedBlocks } from "./accounts.ts";
import { createName } from "./backend.ts";
import { candidateBlocks, claimBlock, listBlocks } from "./blocks.ts";
import { type IdentityConfiguration, identityOf, type PodIdentity } from "./types.ts";

/**
 * Gives a pod a block of host ids that nobody else has, and its VMM's user a name. Everything is in
 * the journal first; whatever happens, tearing the sandbox down gives it back.
 * @throws ID_RANGE_EXHAUSTED, ID_RANGE_INVALID, USER_RECORDS_NOT_SERVED, USER_NOT_CREATED,
 *   USER_DATABASE_LOCKED, USER_DATABASE_READ_ONLY
 */
export async function acquireIdentity(request: {
  config: IdentityConfiguration;
  journal: Journal;
}): Promise<PodIdentity> {
  const { config, journal } = request;
  const number = claimAnyBlock(config, journal);
  const wanted = identityOf(number, config.userPrefix, "useradd");
  const { name, uid } = wanted.vmm;
  const backend = await createName({ name, id: uid }, config.identityBackend, (attempt) =>
    journal.append({ type: "user", backend: attempt, name, uid }),
  );
  return { ...wanted, backend };
}

function claimAnyBlock(config: IdentityConfiguration, journal: Journal): number {
  ensureRootOnlyDirectory(identitiesDirectory());
  const taken = new Set([...listBlocks().map(({ number }) => number), ...namedBlocks()]);
  for (const number of candidateBlocks(config)) {
    if (taken.has(number)) continue;
    journal.append({ type: "identity", number });
    if (claimBlock(number, journal.key)) return number;
  }
  throw new MukonError(
    "ID_RANGE_EXHAUSTED",
    `no block of host ids is free between ${config.idRangeStart} and ${config.idRangeEnd}`,
    {
      hint: "clean up after killed pods (mukon gc), or widen id_range_start and id_range_end in [mukon]",
    },
  );
}
