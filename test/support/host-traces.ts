// SPDX-License-Identifier: Apache-2.0
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { userRecordsDirectory } from "../../src/host/identity/accounts.ts";
import { ID_BLOCK_SIZE } from "../../src/host/identity/types.ts";
import { runtimeDirectoryRoot } from "../../src/linux/paths.ts";

/** Ids and the directory by which things on a host are known to be of certain pods. */
export interface Owned {
  /** Nobody else has anything below it. */
  directory: string;
  isOurs: (id: number) => boolean;
}

/** Accounts of one kind each; the names of pods' users end with the number of their block. */
const ACCOUNT_FILES = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"];

/**
 * What pods could leave in the kernel, in /etc and in directories that all share, as lines: in every
 * mount namespace, and whoever has it open.
 */
export function hostTraces(owned: Owned): string[] {
  return [
    ...accountsOf(owned),
    ...mountsOf(owned),
    ...loopDevicesOf(owned),
    ...tapsHere(),
    ...socketsOf(owned),
    ...keysOf(owned),
    ...temporaryFilesOf(owned),
  ];
}

function accountsOf({ isOurs }: Owned): string[] {
  const isOfBlock = (text: string): boolean => {
    const number = Number(/(\d+)$/.exec(text)?.[1] ?? Number.NaN);
    return isOurs(number * ID_BLOCK_SIZE) || isOurs(number);
  };
  const lines = ACCOUNT_FILES.flatMap((file) =>
    readText(`/etc/${file}`)
      .split("\n")
      .filter((line) => isOfBlock(line.split(":")[0] ?? ""))
      .map((line) => `/etc/${file}: ${line.split(":")[0]}`),
  );
  const records = entries(userRecordsDirectory())
    .filter((name) => isOfBlock(name.replace(/\.(user|group)$/, "")))
    .map((name) => `user record ${name}`);
  return [...lines, ...records];
}

/** A copy in a namespace that takes no part in what its maker does is its maker's. */
function mountsOf({ directory, isOurs }: Owned): string[] {
  const isWanted = (path: string): boolean =>
    path.startsWith(`${directory}/`) ||
    (path.startsWith(`${runtimeDirectoryRoot()}/`) && isOurs(Number(path.split("/").at(-1))));
  const found = new Set<string>();
  for (const [namespace, pid] of mountNamespaces()) {
    const isOwn = namespace === readLink("/proc/self/ns/mnt");
    for (const line of readText(`/proc/${pid}/mountinfo`).split("\n")) {
      const [, , , root = "", point = "", , ...rest] = line.split(" ");
      const isShared = /^(shared|master):/.test(rest[0] ?? "");
      if ((isOwn || isShared) && (isWanted(point) || isWanted(root))) found.add(`mount ${point}`);
    }
  }
  return [...found];
}

/** One process of each. */
function mountNamespaces(): Map<string, string> {
  const found = new Map<string, string>();
  for (const pid of entries("/proc").filter((name) => /^\d+$/.test(name))) {
    const namespace = readLink(`/proc/${pid}/ns/mnt`);
    if (namespace !== undefined && !found.has(namespace)) found.set(namespace, pid);
  }
  return found;
}

function loopDevicesOf({ directory }: Owned): string[] {
  return entries("/sys/block")
    .filter((name) => name.startsWith("loop"))
    .filter((name) => readText(`/sys/block/${name}/loop/backing_file`).startsWith(`${directory}/`))
    .map((name) => `loop device ${name}`);
}

/** They belong into the namespaces of pods, and never here. */
function tapsHere(): string[] {
  return entries("/sys/class/net")
    .filter((name) => /^tap\d+_kata$/.test(name))
    .map((name) => `link ${name}`);
}

function socketsOf({ directory }: Owned): string[] {
  return readText("/proc/net/unix")
    .split("\n")
    .map((line) => line.split(" ").at(-1) ?? "")
    .filter((path) => path.startsWith(`${directory}/`))
    .map((path) => `listening socket ${path}`);
}

function keysOf({ isOurs }: Owned): string[] {
  return readText("/proc/key-users")
    .split("\n")
    .map((line) => Number(/^\s*(\d+):/.exec(line)?.[1] ?? Number.NaN))
    .filter(isOurs)
    .map((id) => `keys of user ${id}`);
}

function temporaryFilesOf({ isOurs }: Owned): string[] {
  const shared = new Set(["/tmp", "/var/tmp", "/dev/shm", tmpdir()]);
  return [...shared].flatMap((directory) =>
    entries(directory)
      .map((name) => join(directory, name))
      .filter((path) => isOurs(lstatSync(path, { throwIfNoEntry: false })?.uid ?? 0))
      .map((path) => `file ${path}`),
  );
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
