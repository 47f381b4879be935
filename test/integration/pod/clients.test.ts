// SPDX-License-Identifier: Apache-2.0
// Clients of a shim that are slow, leave in the middle, or want two things at once.
import assert from "node:assert/strict";
import { Socket } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openFifoForReading } from "../../../src/linux/fifo.ts";
import { StatusCode } from "../../../src/ttrpc/status.ts";
import { hasStatus, TtrpcError } from "../../../src/ttrpc/ttrpc-error.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { Bundle, FakeContainerd, runShim, ShimClient } from "../../support/shim-client.ts";

const ID = "clients";
const OUTPUT_BYTES = 4 * 1024 * 1024;
const WRITE_MUCH = `head -c ${OUTPUT_BYTES} /dev/zero | tr '\\0' x`;
const KILLED = 137;

let world: PodWorld;
let containerd: FakeContainerd;
let bundle: Bundle;
let shim: ShimClient;

before(async () => {
  world = new PodWorld();
  containerd = await FakeContainerd.listen(world.directory);
  bundle = new Bundle(world.directory, ID, ["sh", "-c", "trap 'exit 0' TERM; sleep 1000"]);
  const output = await runShim({ directory: bundle.directory, id: ID, containerd }, "start");
  assert.equal(output.code, 0, output.stderr);
  shim = await ShimClient.connect(bundle.address);
  await shim.create(bundle);
  await shim.start(ID);
});
after(async () => {
  containerd.close();
  await world.end();
});

test("a reader that is slow holds up its own process and nobody else, and misses nothing", async () => {
  const path = await bundle.fifo("slow");
  const { readFd, holderFd } = openFifoForReading(path);
  // It reads nothing until somebody listens to it.
  const source = new Socket({ fd: readFd, readable: true, writable: false });
  const holder = new Socket({ fd: holderFd, readable: false, writable: true });
  await shim.exec(ID, "much", ["sh", "-c", WRITE_MUCH], { stdout: path });
  await shim.start(ID, "much");
  await sleep(2_000);
  assert.equal((await shim.state(ID, "much")).exitedAt, undefined, "it waits for its reader");

  const other = await bundle.output("other");
  await shim.exec(ID, "other", ["echo", "not held up"], { stdout: other.path });
  await shim.start(ID, "other");
  assert.equal(await shim.wait(ID, "other"), 0);
  assert.equal(await other.ended, "not held up\n");

  let bytes = 0;
  source.once("data", () => holder.destroy());
  source.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const ended = new Promise((done) => source.once("close", done));
  assert.equal(await shim.wait(ID, "much"), 0);
  await ended;
  assert.equal(bytes, OUTPUT_BYTES);
  for (const execId of ["much", "other"]) await shim.delete(ID, execId);
});

test("a client that leaves in the middle takes nothing along: another one goes on where it was", async () => {
  const leaving = await ShimClient.connect(bundle.address);
  const output = await bundle.output("left");
  await leaving.exec(ID, "left", ["sh", "-c", "sleep 2; echo still here; exit 4"], {
    stdout: output.path,
  });
  await leaving.start(ID, "left");
  const forsaken = assert.rejects(leaving.wait(ID, "left"));
  const waiting = shim.wait(ID, "left");
  // In the middle of a call, whose answer nobody takes.
  const unheard = leaving.exec(ID, "unheard", ["true"]).catch(() => {});
  leaving.close();
  await Promise.all([forsaken, unheard]);
  assert.equal(await waiting, 4);
  assert.equal(await output.ended, "still here\n");
  await shim.delete(ID, "left");
  await shim.delete(ID, "unheard").catch((error: unknown) => {
    assert.ok(hasStatus(error, StatusCode.NOT_FOUND), `${error}`);
  });
});

test("two clients who wait for the same are both told, before it starts and after it has ended", async () => {
  const second = await ShimClient.connect(bundle.address);
  await shim.exec(ID, "both", ["sh", "-c", "exit 6"]);
  const waits = [shim.wait(ID, "both"), second.wait(ID, "both")];
  await shim.start(ID, "both");
  assert.deepEqual(await Promise.all(waits), [6, 6]);
  assert.equal(await second.wait(ID, "both"), 6);
  await second.delete(ID, "both");
  second.close();
});

test("execs while their container is killed are refused, or end with it; all is told, nothing stays", async () => {
  const ended = shim.wait(ID);
  const outcomes = Array.from({ length: 6 }, async (_, index) => {
    const execId = `late-${index}`;
    await sleep(index * 30);
    try {
      await shim.exec(ID, execId, ["sleep", "1000"]);
      await shim.start(ID, execId);
      return await shim.wait(ID, execId);
    } catch (error) {
      // Not started any more, by shim or guest; what matters is that somebody says so.
      assert.ok(error instanceof TtrpcError, `${error}`);
      return "refused";
    }
  });
  await sleep(60);
  await shim.kill(ID, 9);
  assert.equal(await ended, KILLED);
  for (const outcome of await Promise.all(outcomes)) {
    assert.ok(outcome === "refused" || outcome === KILLED, `${outcome}`);
  }
  await assert.rejects(shim.kill(ID, 9), (error) => hasStatus(error, StatusCode.NOT_FOUND));
  for (let index = 0; index < 6; index += 1) await shim.delete(ID, `late-${index}`).catch(() => {});
  await shim.delete(ID);
  await shim.shutdown(ID);
  shim.close();
  await world.assertNothingLeft();
});
