// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";

/** As containerd's identifiers, which may stand in a path. */
const CONTAINER_ID = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?$/;

/** The id itself, once it is known to be safe in a path. @throws MukonError CONTAINER_ID_INVALID */
export function checkedContainerId(id: string): string {
  if (CONTAINER_ID.test(id)) return id;
  throw new MukonError(
    "CONTAINER_ID_INVALID",
    `The container id ${JSON.stringify(id.slice(0, 128))} is not 1 to 128 letters, digits, "_", "." or "-".`,
  );
}
