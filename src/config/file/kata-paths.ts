// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants } from "node:fs";
import type { Entry } from "./entries.ts";

const GUEST_KEYS = ["kernel", "initrd", "image"].map((name) => `hypervisor.qemu.${name}`);
const PROGRAM_KEYS = ["path", "virtio_fs_daemon"].map((name) => `hypervisor.qemu.${name}`);
/** Where Kata's packages, and its installer on Kubernetes, put the guest. */
const KATA_GUEST = /\/share\/kata-containers\//;
/** The same for programs; only Kata's own, so that a mistyped path stays an error. */
const KATA_PROGRAM =
  /^\/opt\/kata\/|^\/usr\/libexec\/(kata-qemu\/)?virtiofsd$|^\/usr\/bin\/qemu(-system-x86_64-kata|-kata-system-x86_64)$/;

/**
 * What Kata's own file says of files that came with Kata: its guest speaks vsock, which mukon does not,
 * and its programs may not be on this machine. For these mukon's own stand in.
 *
 * @returns why the entry does not count; undefined when it does
 */
export function whyKataPathIsLeft(
  entry: Entry,
  isThere: (path: string) => boolean = isExecutable,
): string | undefined {
  const { dottedKey } = entry.setting;
  const path = String(entry.value);
  if (GUEST_KEYS.includes(dottedKey) && KATA_GUEST.test(path)) {
    return `${dottedKey} is of Kata's guest, which speaks vsock; mukon's own guest is used instead.`;
  }
  if (PROGRAM_KEYS.includes(dottedKey) && KATA_PROGRAM.test(path) && !isThere(path)) {
    return `${dottedKey} is a program of Kata's, ${path}, which is not installed; the default is used instead.`;
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
