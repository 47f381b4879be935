// SPDX-License-Identifier: Apache-2.0
import { systemCall } from "./system-call.ts";

const S_IFCHR = 0o020000;

const mknod = systemCall("int mknod(const char *path, unsigned int mode, unsigned long device)");

/** The two halves of a device number, as in `/dev/null` = 1, 3. */
export interface NodeNumbers {
  major: number;
  minor: number;
}

/** Makes the node of a character device, for its owner alone. @throws SystemCallError */
export function makeCharacterNode(path: string, numbers: NodeNumbers): void {
  mknod(path, S_IFCHR | 0o600, packedNumber(numbers));
}

/** As glibc packs a device number into 64 bits (gnu_dev_makedev). */
function packedNumber({ major, minor }: NodeNumbers): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    ((high & 0xfffn) << 8n) | (low & 0xffn) | ((low & ~0xffn) << 12n) | ((high & ~0xfffn) << 32n)
  );
}
