// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { asMukonError } from "../../errors/mukon-error.ts";
import { accountComment, readGroups, readUsers } from "../identity/accounts.ts";
import { blocksOf } from "../identity/blocks.ts";
import { ID_BLOCK_SIZE, type IdentityConfiguration, VMM_OFFSET } from "../identity/types.ts";
import type { CheckResult } from "./types.ts";

const NAME = "id-range";
const MAX_NAMED = 3;

/** Somebody else's ids in the range that pods are given. */
export interface RangeClaim {
  /** Such as `/etc/subuid gives it to alice`. */
  who: string;
  first: number;
  count: number;
}

/** Whether the range of ids is free of those of people, services and user namespaces. */
export function checkIdRange(
  config: IdentityConfiguration,
  claims: readonly RangeClaim[] = readClaims(config),
): CheckResult {
  try {
    const { count } = blocksOf(config);
    const clashes = claims.filter(
      (claim) =>
        claim.count > 0 &&
        claim.first < config.idRangeEnd &&
        claim.first + claim.count > config.idRangeStart,
    );
    const range = `${config.idRangeStart} to ${config.idRangeEnd - 1}`;
    if (clashes.length === 0) {
      return { name: NAME, status: "ok", message: `ids ${range}: ${count} pods at once` };
    }
    const named = clashes.slice(0, MAX_NAMED).map(({ who }) => who);
    if (clashes.length > MAX_NAMED) named.push(`${clashes.length - MAX_NAMED} more`);
    return {
      name: NAME,
      status: "failed",
      message: `ids ${range} are not free: ${named.join(", ")}`,
      remedy: "choose another range: id_range_start and id_range_end in [mukon]",
    };
  } catch (error) {
    const { message, hint } = asMukonError(error);
    return { name: NAME, status: "failed", message, remedy: hint ?? "see [mukon]" };
  }
}

/** /etc/subuid and /etc/subgid (subuid(5)): name:first:count. */
export function parseSubordinateIds(text: string, path: string): RangeClaim[] {
  return text.split("\n").flatMap((line) => {
    const match = /^([^:#]+):(\d+):(\d+)\s*$/.exec(line);
    if (match === null) return [];
    const [, name, first, count] = match;
    return [{ who: `${path} gives them to ${name}`, first: Number(first), count: Number(count) }];
  });
}

function readClaims(config: IdentityConfiguration): RangeClaim[] {
  const isOurs = ({ id, name }: { id: number; name: string }): boolean =>
    name.startsWith(config.userPrefix) && id % ID_BLOCK_SIZE === VMM_OFFSET;
  const users = readUsers()
    .filter((user) => user.comment !== accountComment() && !isOurs(user))
    .map(({ name, id }) => ({ who: `user ${name} has ${id}`, first: id, count: 1 }));
  const groups = readGroups()
    .filter((group) => !isOurs(group))
    .map(({ name, id }) => ({ who: `group ${name} has ${id}`, first: id, count: 1 }));
  const subordinate = ["/etc/subuid", "/etc/subgid"].flatMap((path) =>
    parseSubordinateIds(readText(path), path),
  );
  return [...users, ...groups, ...subordinate];
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
