// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync } from "node:fs";
import { systemCall } from "../../linux/system-call.ts";

/** Longer than struct termios of any 64-bit C library. */
const TERMIOS_BYTES = 128;
/** Offset and bits of c_oflag: the kernel changes nothing of what is printed without OPOST. */
const OUTPUT_FLAGS_OFFSET = 4;
const OPOST = 0o1;
const TCSADRAIN = 1;

const tcgetattr = systemCall("int tcgetattr(int fd, void *attributes)");
const tcsetattr = systemCall("int tcsetattr(int fd, int when, void *attributes)");

/**
 * Lets a terminal's output through as it is: it was processed by the container's own terminal
 * already, and a second carriage return at each newline would spoil full-screen programs. Node's raw
 * mode changes only the input side.
 * @throws SystemCallError when it is no terminal, or has been hung up
 */
export function stopOutputProcessing(fd: number): void {
  const attributes = readAttributes(fd);
  const flags = attributes.readUInt32LE(OUTPUT_FLAGS_OFFSET);
  attributes.writeUInt32LE(flags & ~OPOST, OUTPUT_FLAGS_OFFSET);
  tcsetattr(fd, TCSADRAIN, attributes);
}

/** True when whoever sat in front of it has gone: its window was closed, its connection lost. */
export function isTerminalGone(fd: number): boolean {
  try {
    readAttributes(fd);
    return false;
  } catch {
    return true;
  }
}

/**
 * Puts /dev/null in the place of those standard streams that were a terminal which is gone. Node
 * restores the mode of the others at its end, and aborts (with a core dump) where that fails.
 */
export function dropLostTerminal(): void {
  for (const fd of [0, 1, 2]) {
    if (!wasTerminal(fd) || !isTerminalGone(fd)) continue;
    // The lowest free number is taken: the one that has just been closed.
    closeSync(fd);
    openSync("/dev/null", "r+");
  }
}

function wasTerminal(fd: number): boolean {
  return [process.stdin, process.stdout, process.stderr][fd]?.isTTY === true;
}

function readAttributes(fd: number): Buffer {
  const attributes = Buffer.alloc(TERMIOS_BYTES);
  tcgetattr(fd, attributes);
  return attributes;
}
