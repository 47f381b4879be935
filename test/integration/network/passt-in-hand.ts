// SPDX-License-Identifier: Apache-2.0
// Holds the end of passt's socket that a VMM has, and sends frames of its own making: a program of its
// own, which the test runs in the network of its host. Prints, as JSON, which of them were answered.
import { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfiguration } from "../../../src/config/load.ts";
import { acquireIdentity } from "../../../src/host/identity/acquire.ts";
import { Journal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import { GUEST } from "../../../src/host/network/user/passt.ts";
import { Loss } from "../../../src/sandbox/loss.ts";
import { OwnedDescriptors } from "../../../src/sandbox/owned-descriptors.ts";
import { planUserNetwork, startUserNetwork } from "../../../src/sandbox/user-network.ts";
import { arpRequest, framed, macFrom, type Segment, synFrame, udpFrame } from "./frames.ts";

const KEY = "in-hand";
const [wanted = "[]"] = process.argv.slice(2);
/** Sources and targets to try, by TCP and by UDP; none: it waits until it is killed. */
const attempts: Segment[] = JSON.parse(wanted);

const journal = Journal.open(KEY);
const { configuration } = await loadConfiguration({});
const identity = await acquireIdentity({ config: configuration.mukon, journal });
const descriptors = new OwnedDescriptors();
const loss = new Loss();
const plan = await planUserNetwork({ key: KEY, journal }, { ports: [] });
if (plan === undefined) throw new Error("nothing is planned");
const parts = { identity, loss, descriptors };
const network = await startUserNetwork({ key: KEY, journal }, plan, parts);
const socket = new Socket({ fd: descriptors.release(network.socket) });
let received: Buffer = Buffer.alloc(0);
socket.on("data", (chunk) => {
  received = Buffer.concat([received, chunk]);
});

/** Frames that have come since this was last asked. */
function take(): Buffer[] {
  const frames: Buffer[] = [];
  while (received.length >= 4 && received.length >= 4 + received.readUInt32BE(0)) {
    const end = 4 + received.readUInt32BE(0);
    frames.push(received.subarray(4, end));
    received = received.subarray(end);
  }
  return frames;
}

socket.write(framed(arpRequest(network.mac, GUEST.address, GUEST.gateway)));
const gateway = macFrom(await first());
/** The length of a frame may come before the frame. */
async function first(): Promise<Buffer[]> {
  for (let tries = 0; tries < 50; tries += 1) {
    await sleep(100);
    const frames = take();
    if (frames.length > 0) return frames;
  }
  return [];
}

if (attempts.length === 0) {
  console.log("running");
  setInterval(() => {}, 60_000);
  await new Promise(() => {});
}
const outcomes: Record<string, string> = {};
for (const [index, { name, ...segment }] of attempts.entries()) {
  const port = 40_000 + index;
  const ends = { source: network.mac, target: gateway };
  const frame = segment.protocol === "tcp" ? synFrame : udpFrame;
  socket.write(framed(frame(ends, segment, port)));
  await sleep(300);
  outcomes[name] = outcomeOf(take(), port);
}
console.log(JSON.stringify(outcomes));
socket.destroy();
journal.close();
await tearDown(KEY);
process.exit(0);

/** "answered": a SYN-ACK, or a datagram; a RST is none: passt says so that it reached nobody. */
function outcomeOf(frames: readonly Buffer[], port: number): string {
  const mine = frames.filter((frame) => {
    if (frame.readUInt16BE(12) !== 0x0800) return false;
    return frame.readUInt16BE(14 + (frame.readUInt8(14) & 0xf) * 4 + 2) === port;
  });
  if (mine.length === 0) return "silence";
  const flags = mine.map((frame) => {
    const transport = 14 + (frame.readUInt8(14) & 0xf) * 4;
    return frame.readUInt8(23) === 17 ? 0x12 : frame.readUInt8(transport + 13);
  });
  return flags.some((one) => (one & 0x12) === 0x12) ? "answered" : "reset";
}
