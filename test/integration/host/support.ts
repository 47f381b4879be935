// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from "node:fs";
import { after, before } from "node:test";
import type { IdentityConfiguration } from "../../../src/host/identity/types.ts";
import { listProcesses, readProcessStatus } from "../../../src/linux/process-status.ts";

/** Far from what pods are given, so that these tests can run beside them. */
const FIRST_BLOCK = 0x6000;
const BLOCKS = 32;
const FIRST_ID = FIRST_BLOCK * 65_536;

export const PREFIX = "mkhost-";

export function testIdentities(
  identityBackend: IdentityConfiguration["identityBackend"],
  blocks = BLOCKS,
): IdentityConfiguration {
  return {
    idRangeStart: FIRST_ID,
    idRangeEnd: FIRST_ID + blocks * 65_536,
    userPrefix: PREFIX,
    identityBackend,
  };
}

export const SKIP_UNLESS_ROOT =
  process.getuid?.() === 0 ? false : "needs root: it makes users and confines processes";

/** All that these tests could leave on the host, apart from what is below their own folder. */
export function traces(): string[] {
  const files = ["passwd", "group", "shadow", "gshadow", "subuid", "subgid"];
  const lines = files.flatMap((file) =>
    readText(`/etc/${file}`)
      .split("\n")
      .filter(
        (line) => line.includes(PREFIX) || line.includes(String(FIRST_BLOCK * 65_536 + 65_520)),
      )
      .map((line) => `/etc/${file}: ${line}`),
  );
  const records = entries("/run/userdb")
    .filter((name) => name.startsWith(PREFIX) || isTestId(Number.parseInt(name, 10)))
    .map((name) => `/run/userdb/${name}`);
  const runtime = entries("/run/user").filter((name) => isTestId(Number(name)));
  return [...lines, ...records, ...runtime, ...processes()];
}

/** Fails the file when it leaves anything on the host. */
export function leavesNoTrace(): void {
  before(() => assertNone("before"));
  after(() => assertNone("after"));
}

function assertNone(when: string): void {
  const found = traces();
  if (found.length > 0) throw new Error(`${when} these tests, the host has ${found.join(" | ")}`);
}

function processes(): string[] {
  return listProcesses()
    .map((pid) => readProcessStatus(pid))
    .filter((status) => status !== undefined && status.state !== "Z")
    .filter((status) => status?.uids.some(isTestId))
    .map((status) => `process ${status?.pid} ${status?.name}`);
}

function isTestId(id: number): boolean {
  return id >= FIRST_ID && id < FIRST_ID + BLOCKS * 65_536;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
