// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { DESCRIPTORS } from "./attempts/descriptors.ts";
import { CHROOT, FILES } from "./attempts/files.ts";
import { KERNEL } from "./attempts/kernel.ts";
import { NETWORK } from "./attempts/network.ts";
import { PROCESSES } from "./attempts/processes.ts";
import { RIGHTS } from "./attempts/rights.ts";
import { addressOf, call } from "./system.ts";
import type { Attempt, Targets } from "./types.ts";

/** In this order: what an attempt leaves behind must not be in the way of the next. */
export const ATTEMPTS: readonly Attempt[] = [
  ...[DESCRIPTORS, FILES, PROCESSES, NETWORK, KERNEL, RIGHTS].flat(),
  CHROOT,
];

const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1;
const RETURN_ALLOW = [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f];

/** Tries all, and says what came of each: words of its number and the kernel's answer. */
export function attack(targets: Targets): string {
  return ATTEMPTS.map((attempt, index) => `${index}=${outcomeOf(attempt, targets)}`).join(" ");
}

function outcomeOf(attempt: Attempt, targets: Targets): string {
  try {
    attempt.run(targets);
    return "DONE";
  } catch (error) {
    const { errorName, code, message } = error as Record<string, string>;
    return errorName ?? code ?? message ?? "?";
  }
}

/** So that the shim finds a filter, as QEMU has one: this one allows everything. */
export function pretendToFilter(): void {
  const program = Buffer.from(RETURN_ALLOW);
  const header = Buffer.alloc(16);
  header.writeUInt16LE(1, 0);
  header.writeBigUInt64LE(addressOf(program), 8);
  call("seccomp", SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, header);
}

/** A child that wants to outlive all of this, and holds what it has inherited. */
export function leaveSomebodyBehind(): void {
  const program =
    "for (const s of ['SIGTERM','SIGINT','SIGHUP']) process.on(s, () => {}); setInterval(() => {}, 1e6)";
  spawn(process.execPath, ["-e", program], { detached: true, stdio: "ignore" }).unref();
}

/** All of it, also where the other side reads slowly. */
export function say(descriptor: number, text: string): void {
  const data = Buffer.from(text);
  for (let at = 0; at < data.length; ) {
    try {
      at += writeSync(descriptor, data, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}
