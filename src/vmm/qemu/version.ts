// SPDX-License-Identifier: Apache-2.0
import { runAsNobody } from "./as-nobody.ts";

/** `-object memory-backend-file,readonly=on,rom=off`: since QEMU 8.2 (qapi/qom.json). */
const PRIVATE_VIEW = { major: 8, minor: 2 };

/** QEMU's version, such as "7.2.22"; "" when it does not say. */
export async function qemuVersion(qemuPath: string): Promise<string> {
  const { stdout } = await runAsNobody([qemuPath, "--version"]);
  return /version (\d{1,4}\.\d{1,4}(\.\d{1,4})?)/.exec(stdout)?.[1] ?? "";
}

/** Whether QEMU can map a file that it may only read as memory that it may write to. */
export function canMapPrivately(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return (
    major > PRIVATE_VIEW.major || (major === PRIVATE_VIEW.major && minor >= PRIVATE_VIEW.minor)
  );
}
