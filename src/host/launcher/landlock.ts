// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from "node:child_process";
import { fstatSync, readFileSync, readlinkSync } from "node:fs";
import type { Jail } from "../jail/types.ts";
import { dropTool } from "./tools.ts";
import type { StdioSlot } from "./types.ts";

/** All rights that the kernel and setpriv(1) know of files: what no rule gives back, nobody has. */
const EVERYTHING = ["--landlock-access", "fs"];
const TRY_TIMEOUT_MS = 10_000;
const ACCESS_MODE = 0o3;

/**
 * Options of setpriv(1) that confine a program once more, by Landlock: of all files there are it can open
 * those of its jail, to read and execute them, and its devices; and make, remove or rename none but in what
 * is shared with it. So a directory of the host that it should ever get hold of, as a descriptor or by a
 * mount, holds nothing for it. What is open already stays open, and can be opened again by its name in /proc
 * for as much as it is open for.
 *
 * None: the kernel, or the host's setpriv, cannot do it. The kernel tells nobody of what is confined so, so
 * it is not read back as other walls are; setpriv ends when it fails. See landlock(7).
 */
export function landlockOptions(jail: Jail, stdio: readonly StdioSlot[]): string[] {
  if (!canLandlock()) return [];
  const rules = landlockRules(jail, stdio);
  return [...EVERYTHING, ...rules.flatMap((rule) => ["--landlock-rule", `path-beneath:${rule}`])];
}

/** Rights, and the path below which a program has them; no rights stand for all. Its descriptors are `stdio`. */
export function landlockRules(jail: Jail, stdio: readonly StdioSlot[]): string[] {
  return [
    "execute,read-file,read-dir:/",
    // Its nodes, and those that it may be given later.
    "read-file,write-file:/dev",
    ...(jail.shared === undefined ? [] : [`:${jail.shared.at}`]),
    ...stdio.flatMap((slot, number) => {
      const rights = typeof slot === "number" ? rightsOfFile(slot) : undefined;
      return rights === undefined ? [] : [`${rights}:/proc/self/fd/${number}`];
    }),
  ];
}

let answer: boolean | undefined;

/** Whether the kernel has Landlock, switched on, and setpriv(1) knows it: util-linux 2.41 does. */
export function canLandlock(): boolean {
  answer ??= tryLandlock();
  return answer;
}

/** By doing it: the kernel must know each right that setpriv knows. */
function tryLandlock(): boolean {
  const tool = dropTool();
  const rule = ["--landlock-rule", "path-beneath::/"];
  const { status } = spawnSync(tool, [...EVERYTHING, ...rule, "--", tool, "--version"], {
    stdio: "ignore",
    env: {},
    cwd: "/",
    timeout: TRY_TIMEOUT_MS,
  });
  return status === 0;
}

/** None for what is no file on a disk, which Landlock lets be opened again anyway. */
function rightsOfFile(descriptor: number): string | undefined {
  if (!fstatSync(descriptor).isFile()) return undefined;
  if (readlinkSync(`/proc/self/fd/${descriptor}`).startsWith("/memfd:")) return undefined;
  const flags = /^flags:\s*([0-7]+)$/m.exec(
    readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"),
  );
  const isReadOnly = (Number.parseInt(flags?.[1] ?? "0", 8) & ACCESS_MODE) === 0;
  return isReadOnly ? "read-file" : "read-file,write-file";
}
