// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from "node:fs";
import { runRoot } from "../../linux/paths.ts";
import { ID_BLOCK_SIZE, VMM_OFFSET } from "./types.ts";

/** A line of /etc/passwd or /etc/group. */
export interface Account {
  name: string;
  id: number;
  /** Comment of a user; empty for groups. */
  comment: string;
}

/** Tells our users from all others, and those of one run root from those of another. */
export function accountComment(): string {
  return `mukon ${runRoot().replaceAll(/[:,\n]/g, "_")}`;
}

/** `MUKON_USERDB_ROOT` moves it, for tests. */
export function userRecordsDirectory(): string {
  return process.env.MUKON_USERDB_ROOT ?? "/run/userdb";
}

export function parseAccounts(text: string): Account[] {
  const accounts: Account[] = [];
  for (const line of text.split("\n")) {
    const [name, , id, , comment] = line.split(":");
    if (name === undefined || id === undefined || !/^\d+$/.test(id)) continue;
    accounts.push({ name, id: Number(id), comment: comment ?? "" });
  }
  return accounts;
}

export function readUsers(): Account[] {
  return parseAccounts(readText("/etc/passwd"));
}

export function readGroups(): Account[] {
  return parseAccounts(readText("/etc/group")).map((group) => ({ ...group, comment: "" }));
}

/** Users that systemd user records name. */
export function readUserRecords(): Account[] {
  const accounts: Account[] = [];
  for (const file of listFiles(userRecordsDirectory())) {
    const name = /^([a-z_][a-z0-9_-]*)\.user$/.exec(file)?.[1];
    if (name === undefined) continue;
    const record = parseRecord(readText(`${userRecordsDirectory()}/${file}`));
    if (record !== undefined) accounts.push({ name, ...record });
  }
  return accounts;
}

/** The block that a user of this run root was made for; undefined: it is not one of ours. */
export function blockOfAccount(account: Account): number | undefined {
  const number = Math.floor(account.id / ID_BLOCK_SIZE);
  const isOurs =
    account.comment === accountComment() &&
    account.id % ID_BLOCK_SIZE === VMM_OFFSET &&
    account.name.endsWith(String(number));
  return isOurs ? number : undefined;
}

/**
 * The block that a group was made for, by its name and number alone, which is all that groups have;
 * undefined: it is not one of ours.
 */
export function blockOfGroup({ name, id }: Account): number | undefined {
  const number = Math.floor(id / ID_BLOCK_SIZE);
  const isOurs =
    number > 0 &&
    id % ID_BLOCK_SIZE === VMM_OFFSET &&
    /(?:^|\D)(\d+)$/.exec(name)?.[1] === String(number);
  return isOurs ? number : undefined;
}

/** Blocks that hold an id, of anyone, which has a name on this host. */
export function namedBlocks(): Set<number> {
  const accounts = [...readUsers(), ...readGroups(), ...readUserRecords()];
  return new Set(accounts.map(({ id }) => Math.floor(id / ID_BLOCK_SIZE)));
}

function parseRecord(text: string): { id: number; comment: string } | undefined {
  try {
    const record: unknown = JSON.parse(text);
    if (typeof record !== "object" || record === null) return undefined;
    const { uid, realName } = record as { uid?: unknown; realName?: unknown };
    if (typeof uid !== "number") return undefined;
    return { id: uid, comment: typeof realName === "string" ? realName : "" };
  } catch {
    return undefined;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
