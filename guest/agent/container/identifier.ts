// SPDX-License-Identifier: Apache-2.0
import { AgentError, Status } from "../errors.ts";

/** As containerd has them, which also makes them safe as names of files and cgroups. */
const PATTERN = /^[A-Za-z0-9](?:[A-Za-z0-9_.+-]{0,126}[A-Za-z0-9_+-])?$/;

/** @throws AgentError unless `id` can be part of a path */
export function checkIdentifier(id: string, what: string): string {
  if (PATTERN.test(id)) return id;
  throw new AgentError(
    Status.invalidArgument,
    `${what} ${JSON.stringify(id.slice(0, 140))} is no identifier: letters, digits and _ . + -`,
  );
}
