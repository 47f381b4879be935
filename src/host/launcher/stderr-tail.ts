// SPDX-License-Identifier: Apache-2.0
import type { Readable } from "node:stream";

const MAX_BYTES = 8 * 1024;

/**
 * Reads a stream to its end and keeps its last 8 KiB. What a confined process writes is hostile:
 * nothing but printable characters, line ends and tabs is given back, so that it cannot drive the
 * terminal of whoever reads the message.
 */
export function collectTail(stream: Readable | null): () => string {
  let tail: Buffer = Buffer.alloc(0);
  stream?.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk.subarray(-MAX_BYTES)]).subarray(-MAX_BYTES);
  });
  stream?.on("error", () => {});
  return () => printable(tail.toString("utf8"));
}

function printable(text: string): string {
  return text.replace(/[^\P{C}\n\t]/gu, "").replaceAll("\u{FFFD}", "");
}
