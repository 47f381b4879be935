// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { HEADER_BYTES, MessageType, makeFrame } from "../../../guest/agent/ttrpc/frame.ts";
import type { RawPort } from "./port.ts";

const CONSOLE = 2;
const MEBIBYTE = 1024 * 1024;
/** No call of the host's has it: stream ids of clients are odd. */
const NOBODYS_STREAM = 0x7ffffffe;

/** Says nothing on the port, and everything on the console: colours, titles, half characters. */
export function floodConsole(): never {
  const line = "\x1b[31mred\x1b]0;title\x07\x1b[2J\xff\xfe\0 hostile console\r";
  const lines = Buffer.from(line.repeat(50), "latin1");
  for (;;) writeSync(CONSOLE, lines);
}

/** Answers the host's first call with a response of random bytes, then sends more of them. */
export function sendGarbage(port: RawPort): void {
  port.onData((request) => {
    const streamId = request.readUInt32BE(4);
    port.send(makeFrame(streamId, MessageType.response, [randomBytes(1000)]));
    port.send(randomBytes(MEBIBYTE));
  });
}

/** Claims a message of 4 GiB, and begins to send it. */
export function sendLength(port: RawPort): void {
  port.onData((request) => {
    const header = Buffer.alloc(HEADER_BYTES, 0xff);
    header.writeUInt32BE(request.readUInt32BE(4), 4);
    header.writeUInt8(MessageType.response, 8);
    port.send(header);
    port.send(Buffer.alloc(MEBIBYTE));
  });
}

/** Sends whole messages of the greatest length, which nobody asked for, without end. */
export function floodPort(port: RawPort): void {
  const frame = makeFrame(NOBODYS_STREAM, MessageType.response, [Buffer.alloc(4 * MEBIBYTE)]);
  port.onData(() => {
    for (;;) port.send(frame);
  });
}
