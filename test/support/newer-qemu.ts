// SPDX-License-Identifier: Apache-2.0
import { chmodSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stateRoot } from "../../src/linux/paths.ts";
import { newerPackages } from "./newer-packages.ts";

const LIBRARIES = "usr/lib/x86_64-linux-gnu";
const FIRMWARE = ["usr/share/qemu", "usr/share/seabios"];

// Taken at once: tests move the state root.
const directory = join(stateRoot(), "test-qemu");

/**
 * A program for `[hypervisor.qemu] path`: the QEMU of the guest's Debian release, which can do more
 * than that of an older host. It runs on its own libraries.
 */
export async function newerQemu(): Promise<string> {
  const tree = await newerPackages(directory, ["qemu-system-x86"]);
  const loader = join(tree, LIBRARIES, "ld-linux-x86-64.so.2");
  const words = [
    ...[loader, "--inhibit-cache", "--library-path", join(tree, LIBRARIES)],
    join(tree, "usr/bin/qemu-system-x86_64"),
    ...FIRMWARE.flatMap((path) => ["-L", join(tree, path)]),
  ];
  const program = join(directory, "qemu");
  // Under another name first: somebody may be starting it.
  const temporary = `${program}.${process.pid}`;
  writeFileSync(temporary, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`);
  chmodSync(temporary, 0o755);
  renameSync(temporary, program);
  return program;
}
