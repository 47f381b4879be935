// SPDX-License-Identifier: Apache-2.0
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { run } from "../../linux/run.ts";
import { accountComment, userRecordsDirectory } from "./accounts.ts";

/** A user with a group of the same name and number. */
export interface NewUser {
  name: string;
  /** uid and gid */
  id: number;
}

const LIBRARY = "libnss_systemd.so.2";
const LIBRARY_DIRECTORIES = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/lib64",
  "/lib",
];

/**
 * Whether names out of /run/userdb resolve here: nsswitch.conf names the `systemd` service for both
 * users and groups, and its library is installed (nss-systemd(8)).
 */
export function areUserRecordsServed(
  nsswitch = readNsswitch(),
  isInstalled = (): boolean => LIBRARY_DIRECTORIES.some((dir) => existsSync(join(dir, LIBRARY))),
): boolean {
  const services = (database: string): string[] =>
    new RegExp(`^\\s*${database}:([^#\\n]*)`, "m").exec(nsswitch)?.[1]?.trim().split(/\s+/) ?? [];
  const isNamed = ["passwd", "group"].every((database) => services(database).includes("systemd"));
  return isNamed && isInstalled();
}

/**
 * Gives an id a name without touching /etc (JSON User Records; nss-systemd(8), "drop-ins").
 * @throws USER_RECORDS_NOT_SERVED when the name does not resolve then; nothing is left
 */
export async function createUserRecord(user: NewUser): Promise<void> {
  const directory = userRecordsDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const { name, id } = user;
  writeRecord(`${name}.user`, `${id}.user`, {
    userName: name,
    uid: id,
    gid: id,
    realName: accountComment(),
    homeDirectory: "/",
    shell: "/usr/sbin/nologin",
    disposition: "dynamic",
    locked: true,
  });
  writeRecord(`${name}.group`, `${id}.group`, {
    groupName: name,
    gid: id,
    disposition: "dynamic",
  });
  const resolved = await run(["getent", "passwd", name], { allowFailure: true, timeoutMs: 5_000 });
  if (resolved.stdout.split(":")[2] === String(id)) return;
  removeUserRecord(user);
  throw new MukonError(
    "USER_RECORDS_NOT_SERVED",
    `${name} was written to ${directory}, but its name does not resolve`,
    { hint: 'use identity_backend = "useradd" in [mukon], or install libnss-systemd' },
  );
}

/** Idempotent. The file that shows there is something to remove goes last. */
export function removeUserRecord(user: NewUser): void {
  for (const kind of ["group", "user"]) {
    rmSync(join(userRecordsDirectory(), `${user.id}.${kind}`), { force: true });
    rmSync(join(userRecordsDirectory(), `${user.name}.${kind}`), { force: true });
  }
}

/**
 * Not by way of a temporary file, whose name the journal would not know: nobody can have asked for
 * this user yet, so half a record does no harm.
 */
function writeRecord(file: string, link: string, record: Record<string, unknown>): void {
  const directory = userRecordsDirectory();
  const path = join(directory, file);
  writeFileSync(path, `${JSON.stringify(record)}\n`);
  // Whatever the umask is: every program may ask for names.
  chmodSync(path, 0o644);
  rmSync(join(directory, link), { force: true });
  symlinkSync(file, join(directory, link));
}

function readNsswitch(): string {
  try {
    return readFileSync("/etc/nsswitch.conf", "utf8");
  } catch {
    return "";
  }
}
