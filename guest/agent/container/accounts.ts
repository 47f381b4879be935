// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, readSync } from "node:fs";
import { AgentError, isSystemError, Status } from "../errors.ts";
import { openInside } from "../native/open-inside.ts";
import type { ProcessSpec } from "./process-json.ts";

/** Texts of passwd(5) and group(5). */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_ADDITIONAL_GROUPS = 1024;
/** 2^32 - 1 means "no change" to the kernel (setresuid(2)). */
const MAX_ID = 2 ** 32 - 2;

/** The accounts of a running container as it sees them now; files that are not there are empty. */
export function readAccountFiles(pid: number): AccountFiles {
  const root = `/proc/${pid}/root`;
  return { passwd: readSmall(root, "/etc/passwd"), group: readSmall(root, "/etc/group") };
}

/**
 * The process as the user that `username` names: `user[:group]`, names or numbers, as Docker has it.
 * It gets the capabilities that a container of that user would have: root all of the bounding set,
 * others none.
 * @throws AgentError INVALID_ARGUMENT when the container has no such user or group
 */
export function asNamedUser(process: ProcessSpec, files: AccountFiles): ProcessSpec {
  const user = lookUpUser(process.user?.username ?? "", files);
  const { capabilities } = process;
  if (capabilities === undefined) return { ...process, user };
  const held = user.uid === 0 ? capabilities.bounding : [];
  return {
    ...process,
    user,
    capabilities: {
      ...capabilities,
      effective: held,
      permitted: held,
      inheritable: [],
      ambient: [],
    },
  };
}

function lookUpUser(text: string, files: AccountFiles): NonNullable<ProcessSpec["user"]> {
  const [userText = "", groupText = "", ...rest] = text.split(":");
  if (rest.length > 0) throw unknown("user", text);
  const { name, uid, gid } = findUser(userText === "" ? "0" : userText, files.passwd);
  const groups = parse(files.group);
  if (groupText !== "") {
    const found = groups.find((fields) => fields[0] === groupText)?.[2];
    const chosen = id(found) ?? id(groupText);
    if (chosen === undefined) throw unknown("group", groupText);
    return { uid, gid: chosen, additionalGids: [], username: "" };
  }
  const additional = groups
    .filter(([, , , members = ""]) => name !== "" && members.split(",").includes(name))
    .flatMap(([, , gidText]) => id(gidText) ?? []);
  const additionalGids = [...new Set(additional)].slice(0, MAX_ADDITIONAL_GROUPS);
  return { uid, gid, additionalGids, username: "" };
}

/** A number needs no entry: it runs with group 0 then. */
function findUser(text: string, passwd: string): { name: string; uid: number; gid: number } {
  const users = parse(passwd).flatMap(([name = "", , uidText, gidText]) => {
    const [uid, gid] = [id(uidText), id(gidText)];
    return uid === undefined || gid === undefined ? [] : [{ name, uid, gid }];
  });
  const uid = id(text);
  const found = users.find((user) => user.name === text) ?? users.find((user) => user.uid === uid);
  if (found !== undefined) return found;
  if (uid === undefined) throw unknown("user", text);
  return { name: "", uid, gid: 0 };
}

function parse(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim().split(":"))
    .filter(([name]) => name !== "");
}

function id(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  return Number(text) <= MAX_ID ? Number(text) : undefined;
}

function readSmall(root: string, path: string): string {
  let descriptor: number;
  try {
    descriptor = openInside(root, path);
  } catch (error) {
    const isMissing = ["ENOENT", "ENOTDIR", "ELOOP"].some((code) => isSystemError(error, code));
    if (isMissing) return "";
    throw error;
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile() || stat.size > MAX_FILE_BYTES) return "";
    const bytes = Buffer.alloc(stat.size);
    return bytes.toString("utf8", 0, readSync(descriptor, bytes));
  } finally {
    closeSync(descriptor);
  }
}

function unknown(what: "user" | "group", name: string): AgentError {
  return new AgentError(
    Status.invalidArgument,
    `the container has no ${what} ${JSON.stringify(name.slice(0, 100))}`,
  );
}
