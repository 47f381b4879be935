// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { type TestContext, test } from "node:test";
import {
  receiveDescriptors,
  sendDescriptors,
  setCloseOnExec,
  setNonBlocking,
  socketPair,
} from "../../../src/linux/descriptors.ts";
import { run } from "../../../src/linux/run.ts";

const LIMITS = { maxPayloadBytes: 64, maxDescriptors: 4 };

function pair(context: TestContext): [number, number] {
  const ends = socketPair();
  context.after(() => ends.forEach(closeSync));
  return ends;
}

function openFile(context: TestContext): number {
  const descriptor = openSync("/proc/self/status", "r");
  context.after(() => closeSync(descriptor));
  return descriptor;
}

function openCount(): number {
  return readdirSync("/proc/self/fd").length;
}

/** The kernel's flags of a descriptor, in octal. */
function flagsOf(fd: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
  return Number.parseInt(/^flags:\s+(\d+)$/m.exec(text)?.[1] ?? "", 8);
}

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;

test("descriptors arrive in their order, close-on-exec, with the payload", (context) => {
  const [near, far] = pair(context);
  const first = openFile(context);
  const second = openSync("/dev/null", "r");
  context.after(() => closeSync(second));
  sendDescriptors(near, Buffer.from("disk"), [first, second]);
  const received = receiveDescriptors(far, LIMITS);
  assert.equal(received?.payload.toString(), "disk");
  const [a = -1, b = -1] = received?.fds ?? [];
  assert.ok(readSync(a, Buffer.alloc(8)) > 0);
  assert.equal(readSync(b, Buffer.alloc(8)), 0);
  assert.ok([a, b].every((fd) => (flagsOf(fd) & O_CLOEXEC) !== 0));
  for (const fd of [a, b]) closeSync(fd);
});

test("nothing there is undefined, the end is an empty payload", (context) => {
  const [near, far] = socketPair();
  context.after(() => closeSync(far));
  assert.equal(receiveDescriptors(far, LIMITS), undefined);
  closeSync(near);
  assert.deepEqual(receiveDescriptors(far, LIMITS), { payload: Buffer.alloc(0), fds: [] });
});

test("a payload without descriptors is fine", (context) => {
  const [near, far] = pair(context);
  sendDescriptors(near, Buffer.from("x"), []);
  assert.deepEqual(receiveDescriptors(far, LIMITS)?.fds, []);
});

for (const tooMany of [5, 6, 200]) {
  test(`${tooMany} descriptors where 4 are allowed: refused, none stays open`, (context) => {
    const [near, far] = pair(context);
    const file = openFile(context);
    sendDescriptors(near, Buffer.from("x"), Array(tooMany).fill(file));
    const before = openCount();
    assert.throws(() => receiveDescriptors(far, LIMITS), { code: "DESCRIPTORS_TRUNCATED" });
    assert.equal(openCount(), before);
  });
}

test("a side that does not read is an error at once, not a wait", (context) => {
  const [near] = pair(context);
  const file = openFile(context);
  const flood = (): void => {
    for (let count = 0; count < 10_000; count += 1) {
      sendDescriptors(near, Buffer.alloc(8192), [file]);
    }
  };
  assert.throws(flood, { errorName: "EAGAIN" });
});

test("what cannot be sent is refused before it is tried", (context) => {
  const [near] = pair(context);
  const refused = { code: "DESCRIPTORS_NOT_SENT" };
  assert.throws(() => sendDescriptors(near, Buffer.alloc(0), []), refused);
  assert.throws(() => sendDescriptors(near, Buffer.from("x"), Array(254).fill(0)), refused);
  assert.throws(() => sendDescriptors(near, Buffer.from("x"), [9999]), { errorName: "EBADF" });
});

test("flags of descriptors", async (context) => {
  const [near] = pair(context);
  assert.equal(flagsOf(near) & (O_CLOEXEC | O_NONBLOCK), O_CLOEXEC);
  setCloseOnExec(near, false);
  setNonBlocking(near, true);
  assert.equal(flagsOf(near) & (O_CLOEXEC | O_NONBLOCK), O_NONBLOCK);
  setNonBlocking(near, false);
  setCloseOnExec(near, true);
  assert.equal(flagsOf(near) & (O_CLOEXEC | O_NONBLOCK), O_CLOEXEC);
  const { stdout } = await run([
    "sh",
    "-c",
    `test -e /proc/self/fd/${near} && echo leaked || true`,
  ]);
  assert.equal(stdout, "");
});
