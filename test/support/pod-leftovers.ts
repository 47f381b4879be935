// SPDX-License-Identifier: Apache-2.0
import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { runtimeDirectoryRoot } from "../../src/linux/paths.ts";
import { listProcesses, readProcessStatus } from "../../src/linux/process-status.ts";
import { hostTraces } from "./host-traces.ts";

export interface Traces {
  runRoot: string;
  /** First id, inclusive, and last one, exclusive. */
  ids: { start: number; end: number };
}

/** Caches and locks, which are meant to stay until the next boot. */
const KEPT_FILES = /^(accelerator\.json|guest-verified\.json|[^/]*\.lock)$/;
const KEPT_TREE =
  /^programs(\/|$)|^jails(\/[0-9a-f]+\.json)?$|^cni\/[^/]+(\/(last_reserved_ip\.\d+|lock))?$/;

/** Everything on this host that pods of one run root and range of ids could have left, as lines. */
export function findLeftovers({ runRoot, ids }: Traces): string[] {
  const isOurs = (id: number): boolean => id >= ids.start && id < ids.end;
  return [
    ...processesOf(runRoot, isOurs),
    ...entries(runtimeDirectoryRoot())
      .filter((name) => isOurs(Number(name)))
      .map((name) => `runtime directory ${name}`),
    ...hostTraces({ directory: runRoot, isOurs }),
    ...filesOf(runRoot),
  ];
}

function processesOf(runRoot: string, isOurs: (id: number) => boolean): string[] {
  const found: string[] = [];
  for (const pid of listProcesses()) {
    const status = readProcessStatus(pid);
    if (status === undefined || status.state === "Z") continue;
    const ids = [...status.uids, ...status.gids, ...status.groups];
    const command = readText(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
    // The compiler of the tests themselves.
    if (command.includes("/esbuild ")) continue;
    // Those that are still root have an environment that says where they belong.
    const environment = `${readText(`/proc/${pid}/environ`)}\0`;
    if (!ids.some(isOurs) && !environment.includes(`MUKON_RUN_ROOT=${runRoot}\0`)) continue;
    found.push(`process ${pid} ${command.slice(0, 150)}`);
  }
  return found;
}

/** Empty directories right below the run root stay, too. */
function filesOf(runRoot: string): string[] {
  return descendants(runRoot)
    .map((entry) => ({ entry, path: relative(runRoot, join(entry.parentPath, entry.name)) }))
    .filter(({ entry, path }) => {
      if (KEPT_TREE.test(path) || KEPT_FILES.test(path)) return false;
      return path.includes("/") || !entry.isDirectory();
    })
    .map(({ path }) => `file ${path}`);
}

/** While directories go, a list of what is in them cannot always be had: then once more. */
function descendants(directory: string): Dirent[] {
  for (;;) {
    try {
      return readdirSync(directory, { recursive: true, withFileTypes: true });
    } catch (error) {
      const { code, path } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" || path === directory) throw error;
    }
  }
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
