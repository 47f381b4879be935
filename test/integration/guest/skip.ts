// SPDX-License-Identifier: Apache-2.0
import { accessSync } from "node:fs";
import { openGuest } from "../../../guest/image/open.ts";

/** Why no guest can be started here; printed once. */
export async function whyNoGuest(): Promise<string | undefined> {
  const reason = await findReason();
  if (reason !== undefined) console.log(`skipped: ${reason}`);
  return reason;
}

async function findReason(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "needs root, as the guest image is root's";
  try {
    accessSync("/usr/bin/qemu-system-x86_64");
  } catch {
    return "qemu-system-x86_64 is not installed";
  }
  return openGuest().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}
