// SPDX-License-Identifier: Apache-2.0
import { type RunResult, run } from "../../linux/run.ts";
import type { ImageLimits } from "../limits.ts";
import { JAIL_SCRIPT } from "./script.ts";
import { withImageUserNamespace } from "./user-namespace.ts";

/**
 * Host id of programs that speak to registries and read archives: an ordinary id that owns
 * nothing else, in the gap between the pods' ids and those of unpacking.
 */
export const DOWNLOADER_ID = 0x7ffd0000;

/**
 * As whom a program runs; all with `no_new_privs` and nothing to gain:
 * - `downloader`: an ordinary user without any capability;
 * - `reader`: the same, that may read any file of the jail (a directory of the caller's);
 * - `unpacker`: root of a user namespace whose ids mean nothing on the host, with just the
 *   capabilities that owners, modes and file capabilities need.
 */
export type JailIdentity = "downloader" | "reader" | "unpacker";

export interface JailOptions {
  identity: JailIdentity;
  /** An empty directory that the jail's root is put together on. */
  jailDirectory: string;
  /** Seen as /workspace, the only place that can be written to. */
  workDirectory: string;
  /** A file or directory, seen read-only as /input. */
  inputPath?: string;
  /** The host's network, and the files that name resolution and TLS need; else none at all. */
  hasNetwork?: boolean;
  limits: ImageLimits;
  env?: NodeJS.ProcessEnv;
  maxOutputBytes?: number;
  signal?: AbortSignal;
}

const UNPACKER_CAPABILITIES = "+chown,+dac_override,+fowner,+fsetid,+setfcap";

/**
 * Runs a program that reads bytes of strangers, where it can do no harm: own root, pids and ids.
 * It dies with this process, and all its children with it. Returns for any exit code.
 */
export async function runJailed(argv: readonly string[], options: JailOptions): Promise<RunResult> {
  if (options.identity !== "unpacker") return start(argv, options, []);
  return withImageUserNamespace((descriptor) => start(argv, options, [descriptor]));
}

function start(
  argv: readonly string[],
  options: JailOptions,
  descriptors: number[],
): Promise<RunResult> {
  const { limits } = options;
  return run([...outerChain(options), ...identityChain(options.identity), ...argv], {
    descriptors,
    env: { HOME: "/workspace/tmp", TMPDIR: "/workspace/tmp", LC_ALL: "C", ...options.env },
    timeoutMs: limits.timeoutMs,
    maxOutputBytes: options.maxOutputBytes ?? 1024 * 1024,
    allowFailure: true,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

/** As root of the host: bounds, namespaces, then the script that builds the jail. */
function outerChain(options: JailOptions): string[] {
  const { limits } = options;
  const network = options.hasNetwork === true;
  return [
    ...["setpriv", "--pdeathsig", "KILL", "--"],
    ...["prlimit", "--core=0", `--fsize=${limits.maxFileBytes}`, `--data=${limits.maxMemoryBytes}`],
    ...["--", "choom", "--adjust", "500", "--"],
    ...["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"],
    ...["--ipc", "--uts", ...(network ? [] : ["--net"]), "--"],
    ...["sh", "-c", JAIL_SCRIPT, "mukon-image-jail"],
    ...[options.jailDirectory, options.workDirectory, options.inputPath ?? ""],
    network ? "network" : "",
  ];
}

/** In the jail: gives up all that is not needed, for good. */
function identityChain(identity: JailIdentity): string[] {
  if (identity === "unpacker") {
    return [
      ...["nsenter", "--user=/proc/self/fd/3", "--setuid", "0", "--setgid", "0", "--"],
      ...["setpriv", "--nnp", "--inh-caps=-all", "--ambient-caps=-all"],
      ...[`--bounding-set=-all,${UNPACKER_CAPABILITIES}`, "--pdeathsig", "KILL", "--"],
    ];
  }
  const kept = identity === "reader" ? ",+dac_read_search" : "";
  return [
    ...["setpriv", "--reuid", String(DOWNLOADER_ID), "--regid", String(DOWNLOADER_ID)],
    ...["--clear-groups", "--nnp", `--inh-caps=-all${kept}`, `--ambient-caps=-all${kept}`],
    ...[`--bounding-set=-all${kept}`, "--pdeathsig", "KILL", "--"],
  ];
}
