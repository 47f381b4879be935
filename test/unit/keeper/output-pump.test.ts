// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { drain, OutputPump } from "../../../src/keeper/stdio/output-pump.ts";
import { openSink, type Sink } from "../../../src/keeper/stdio/sink.ts";
import { socketPair } from "../../../src/linux/descriptors.ts";

const KIB = 1024;

/** Gives `pieces` one by one, then the end; counts how often it was asked. */
function source(pieces: readonly Uint8Array[]): { read: () => Promise<Uint8Array>; asked: number } {
  const state = {
    asked: 0,
    read: async () => pieces[state.asked++] ?? new Uint8Array(),
  };
  return state;
}

/** Takes nothing until it is told to. */
function stuckSink(): Sink & { release: () => void; taken: number } {
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const sink = {
    taken: 0,
    release: () => release(),
    write: async (data: Uint8Array) => {
      await gate;
      sink.taken += data.length;
    },
    close: () => release(),
  };
  return sink;
}

test("while a reader does not read, the guest is asked for one piece more and no further", async () => {
  const from = source(Array.from({ length: 50 }, () => new Uint8Array(KIB)));
  const sink = stuckSink();
  const pump = new OutputPump({ read: from.read, sink });
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(from.asked, 2);
  sink.release();
  await pump.finished;
  assert.equal(sink.taken, 50 * KIB);
  assert.equal(from.asked, 51);
});

test("a socket gets all bytes in order, and its end, with a slow reader", async () => {
  const [mine, theirs] = socketPair();
  const pieces = Array.from({ length: 40 }, (_, index) => Buffer.alloc(100 * KIB, index));
  const pump = new OutputPump({ read: source(pieces).read, sink: openSink(mine) });
  const received: Buffer[] = [];
  for await (const chunk of new Socket({ fd: theirs, readable: true, writable: false })) {
    received.push(chunk);
    if (received.length % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await pump.finished;
  assert.ok(Buffer.concat(received).equals(Buffer.concat(pieces)));
  assert.equal(pump.progress, 4000 * KIB);
});

test("a file gets all bytes in order", async () => {
  const directory = mkdtempSync(join(tmpdir(), "mukon-pump-"));
  try {
    const path = join(directory, "output.log");
    const pieces = Array.from({ length: 9 }, (_, index) => Buffer.alloc(50 * KIB, index));
    const pump = new OutputPump({ read: source(pieces).read, sink: openSink(openSync(path, "a")) });
    await pump.finished;
    assert.ok(readFileSync(path).equals(Buffer.concat(pieces)));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("output that cannot be written is read and dropped, so that its process goes on", async () => {
  const from = source(Array.from({ length: 5 }, () => new Uint8Array(KIB)));
  const full = openSync("/dev/full", "w");
  await new OutputPump({ read: from.read, sink: openSink(full) }).finished;
  assert.equal(from.asked, 6);
});

test("a failing guest ends the copying and closes the sink", async () => {
  const [mine, theirs] = socketPair();
  const read = () => Promise.reject(new Error("lost"));
  await new OutputPump({ read, sink: openSink(mine) }).finished;
  const socket = new Socket({ fd: theirs, readable: true, writable: false });
  for await (const _ of socket) assert.fail("no output was there");
});

test("a reader that stands still is given up", async () => {
  const sink = stuckSink();
  const pump = new OutputPump({ read: source([new Uint8Array(KIB)]).read, sink });
  const start = performance.now();
  await drain([pump], { stallMs: 300, totalMs: 60_000 });
  assert.ok(performance.now() - start < 5000);
  await pump.finished;
});

test("a guest that never ends its output is given up after the total time", async () => {
  const endless = async (): Promise<Uint8Array> => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return new Uint8Array(1);
  };
  const pump = new OutputPump({ read: endless, sink: openSink(openSync("/dev/null", "w")) });
  await drain([pump], { stallMs: 60_000, totalMs: 400 });
  await pump.finished;
});

test("a sink can be closed twice", () => {
  const [mine, theirs] = socketPair();
  const sink = openSink(mine);
  sink.close();
  sink.close();
  closeSync(theirs);
});
