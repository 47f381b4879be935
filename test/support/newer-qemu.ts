// SPDX-License-Identifier: Apache-2.0
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepareApt, refreshIndex } from "../../guest/image/apt.ts";
import { findArchive } from "../../guest/image/archive.ts";
import { fetchPackage, resolvePackages, unpackPackage } from "../../guest/image/packages.ts";
import { withLock } from "../../src/linux/lock.ts";
import { stateRoot } from "../../src/linux/paths.ts";

const TIMEOUT_MS = 600_000;
const LIBRARIES = "usr/lib/x86_64-linux-gnu";
const FIRMWARE = ["usr/share/qemu", "usr/share/seabios"];

// Taken at once: tests move the state root.
const directory = join(stateRoot(), "test-qemu");

/**
 * A program for `[hypervisor.qemu] path`: the QEMU of the guest's Debian release, which can do more
 * than that of an older host. It is unpacked, not installed, and runs on its own libraries. Made
 * once; takes half a minute then.
 */
export async function newerQemu(): Promise<string> {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const program = join(directory, "qemu");
  await withLock(
    join(directory, ".lock"),
    async () => {
      if (!existsSync(program)) await make(program);
    },
    { timeoutMs: TIMEOUT_MS },
  );
  return program;
}

async function make(program: string): Promise<void> {
  const [tree, work] = [join(directory, "tree"), join(directory, ".new")];
  for (const path of [tree, work]) rmSync(path, { recursive: true, force: true });
  mkdirSync(work, { mode: 0o755 });
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const apt = await prepareApt(join(directory, "packages"), await findArchive(), signal);
  await refreshIndex(apt, () => {});
  for (const wanted of await resolvePackages(apt, ["qemu-system-x86"])) {
    await unpackPackage(await fetchPackage(apt, wanted, () => {}), work, signal);
  }
  rmSync(apt.directory, { recursive: true });
  renameSync(work, tree);
  const loader = join(tree, LIBRARIES, "ld-linux-x86-64.so.2");
  const words = [
    ...[loader, "--inhibit-cache", "--library-path", join(tree, LIBRARIES)],
    join(tree, "usr/bin/qemu-system-x86_64"),
    ...FIRMWARE.flatMap((path) => ["-L", join(tree, path)]),
  ];
  writeFileSync(`${program}.new`, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`);
  chmodSync(`${program}.new`, 0o755);
  renameSync(`${program}.new`, program);
}
