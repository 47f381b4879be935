// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { run } from "../../linux/run.ts";

/** Where distributions and Kata's own packages put it, the newer implementation first. */
export const DAEMON_PATHS: readonly string[] = [
  "/usr/libexec/virtiofsd",
  "/usr/lib/qemu/virtiofsd",
  "/opt/kata/libexec/virtiofsd",
];
const VERSION_TIMEOUT_MS = 10_000;

/** The first is the one in Rust, the second the one that QEMU had up to version 7. */
export type DaemonKind = "rust" | "qemu";

export interface Daemon {
  path: string;
  kind: DaemonKind;
}

export interface DaemonSettings {
  cache: "never" | "metadata" | "auto" | "always";
  extraArguments: readonly string[];
}

/**
 * Finds virtiofsd, and which of the two it is.
 * @param configured absolute path; "": wherever it usually is
 * @throws VIRTIOFSD_MISSING
 */
export async function findDaemon(configured: string): Promise<Daemon> {
  const candidates = configured === "" ? DAEMON_PATHS : [configured];
  const path = candidates.find(isExecutable);
  if (path === undefined) {
    throw new MukonError(
      "VIRTIOFSD_MISSING",
      `virtiofsd is not installed: there is no ${candidates.join(", no ")}`,
      {
        hint: 'install it (Debian 12: apt-get install qemu-system-common; Debian 13: virtiofsd), or set virtio_fs_daemon; or shared_fs = "none"',
      },
    );
  }
  const { stdout, stderr } = await run([path, "--version"], { timeoutMs: VERSION_TIMEOUT_MS });
  return { path, kind: /QEMU Project/.test(stdout + stderr) ? "qemu" : "rust" };
}

/** Arguments for serving `directory` over the listening socket `descriptor`. */
export function daemonArguments(
  { path, kind }: Daemon,
  served: { directory: string; descriptor: number },
  settings: DaemonSettings,
): string[] {
  const { directory, descriptor } = served;
  const extra = settings.extraArguments.filter((word) => word !== "--announce-submounts");
  if (kind === "rust") {
    return [
      ...[path, `--fd=${descriptor}`, `--shared-dir=${directory}`, "--sandbox=chroot"],
      ...["--xattr", "--announce-submounts", `--cache=${settings.cache}`, "--rlimit-nofile=0"],
      ...extra,
    ];
  }
  // It knows no "metadata": "auto" is the nearest that is no looser with contents.
  const cache = { never: "none", metadata: "auto", auto: "auto", always: "always" }[settings.cache];
  const options = `source=${directory},sandbox=chroot,xattr,announce_submounts,cache=${cache}`;
  return [path, "-f", `--fd=${descriptor}`, "-o", options, "--rlimit-nofile=0", ...extra];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
