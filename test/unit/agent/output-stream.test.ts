// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { OutputStream } from "../../../guest/agent/container/output-stream.ts";

function open(): { source: PassThrough; output: OutputStream } {
  const source = new PassThrough();
  return { source, output: new OutputStream(source as unknown as Socket) };
}

test("output is kept until it is read, then comes the end", async () => {
  const { source, output } = open();
  source.write("hello ");
  source.end("world");
  await delay(10);
  assert.equal((await output.read(8)).toString(), "hello wo");
  assert.equal((await output.read(100)).toString(), "rld");
  assert.equal((await output.read(100)).length, 0);
  assert.equal((await output.read(100)).length, 0);
});

test("a reader waits for output that comes later", async () => {
  const { source, output } = open();
  const first = output.read(100);
  const second = output.read(100);
  source.write("a");
  assert.equal((await first).toString(), "a");
  source.write("b");
  assert.equal((await second).toString(), "b");
});

test("an unread flood stops at the source, and nothing of it is lost", async () => {
  const { source, output } = open();
  const chunk = Buffer.alloc(64 * 1024, 1);
  let written = 0;
  while (source.write(chunk) || written < 40) {
    written += 1;
    if (written > 200) break;
    await delay(0);
  }
  assert.ok(source.isPaused());
  source.end();
  let total = 0;
  for (;;) {
    const part = await output.read(1 << 20);
    if (part.length === 0) break;
    total += part.length;
  }
  assert.equal(total, (written + 1) * chunk.length);
});

test("a stream that a left-behind process holds open ends soon after its own process", async () => {
  const { source, output } = open();
  source.write("last");
  output.processEnded();
  assert.equal((await output.read(100)).toString(), "last");
  const start = Date.now();
  assert.equal((await output.read(100)).length, 0);
  assert.ok(Date.now() - start < 5000);
});

test("readers of a host that is gone take nothing from the next one", async () => {
  const { source, output } = open();
  void output.read(100);
  output.forgetReaders();
  source.write("for the next");
  assert.equal((await output.read(100)).toString(), "for the next");
});
