// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import type { Accounts, GroupEntry, UserEntry } from "./types.ts";

/** Ids of a process, as an OCI runtime spec has them. */
export interface ProcessUser {
  uid: number;
  gid: number;
  additionalGids: number[];
}

export const NO_ACCOUNTS: Accounts = { users: [], groups: [] };

/** 2^32 - 1 means "no change" to the kernel (setresuid(2)). */
const MAX_ID = 2 ** 32 - 2;
const MAX_ENTRIES = 20_000;
const MAX_NAME_LENGTH = 256;
const MAX_ADDITIONAL_GROUPS = 1024;

/** Parses the text of passwd(5) and group(5); lines that are not as they should be are left out. */
export function parseAccounts(passwd: string, group: string): Accounts {
  return {
    users: entries(passwd, (fields): UserEntry | undefined => {
      const [name, , uidText, gidText] = fields;
      const [uid, gid] = [parseId(uidText), parseId(gidText)];
      return isName(name) && uid !== undefined && gid !== undefined
        ? { name, uid, gid }
        : undefined;
    }),
    groups: entries(group, (fields): GroupEntry | undefined => {
      const [name, , gidText, members = ""] = fields;
      const gid = parseId(gidText);
      if (!isName(name) || gid === undefined) return undefined;
      return { name, gid, members: members.split(",").filter(isName).slice(0, MAX_ENTRIES) };
    }),
  };
}

/**
 * Finds the ids of `user[:group]`, names or numbers, as Docker does: no user is root; a user
 * without a group gets its own group of passwd and all groups that list it.
 * @throws USER_NOT_FOUND
 */
export function lookUpUser(accounts: Accounts, user: string | undefined): ProcessUser {
  const [userPart = "", groupPart = "", ...rest] = (user ?? "").split(":");
  if (rest.length > 0) throw notFound("user", user ?? "");
  const entry = findUser(accounts, userPart === "" ? "0" : userPart);
  if (groupPart !== "") {
    return { uid: entry.uid, gid: findGroup(accounts, groupPart), additionalGids: [] };
  }
  const gids = accounts.groups
    .filter((group) => entry.name !== "" && group.members.includes(entry.name))
    .map((group) => group.gid);
  const additionalGids = [...new Set(gids)].slice(0, MAX_ADDITIONAL_GROUPS);
  return { uid: entry.uid, gid: entry.gid, additionalGids };
}

/** A number needs no entry: it runs with group 0 then. */
function findUser(accounts: Accounts, text: string): UserEntry {
  const byName = accounts.users.find((entry) => entry.name === text);
  if (byName !== undefined) return byName;
  const uid = parseId(text);
  if (uid === undefined) throw notFound("user", text);
  return accounts.users.find((entry) => entry.uid === uid) ?? { name: "", uid, gid: 0 };
}

function findGroup(accounts: Accounts, text: string): number {
  const gid = accounts.groups.find((entry) => entry.name === text)?.gid ?? parseId(text);
  if (gid === undefined) throw notFound("group", text);
  return gid;
}

function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function isName(text: string | undefined): text is string {
  return text !== undefined && text.length > 0 && text.length <= MAX_NAME_LENGTH;
}

function entries<Entry>(text: string, parse: (fields: string[]) => Entry | undefined): Entry[] {
  const found: Entry[] = [];
  for (const line of text.split("\n")) {
    const entry = parse(line.trim().split(":"));
    if (entry !== undefined) found.push(entry);
    if (found.length >= MAX_ENTRIES) break;
  }
  return found;
}

function notFound(what: "user" | "group", name: string): MukonError {
  return new MukonError("USER_NOT_FOUND", `the image has no ${what} "${name}"`, {
    hint: `give a number instead (-u 1000:1000), or a ${what} of the image's /etc/${what === "user" ? "passwd" : "group"}`,
  });
}
