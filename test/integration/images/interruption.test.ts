// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { resolveImage } from "../../../src/images/resolve.ts";
import { listImages, removeImage } from "../../../src/images/store.ts";
import { storeEntries, useImageStore, whyImagesCannotBeTested } from "../../support/image-store.ts";
import { writeLayout } from "../../support/oci-layout.ts";

const skip = whyImagesCannotBeTested();
const store = useImageStore();
const PULLER = join(import.meta.dirname, "../../support/image-puller.ts");
const FILE_COUNT = 40;
let reference = "";

before(() => {
  if (skip !== false) return;
  const layout = store.path("layout");
  const data = Buffer.alloc(512 * 1024, "x");
  const files = Array.from({ length: FILE_COUNT }, (_, index) => ({ path: `f${index}`, data }));
  writeLayout(layout, { layers: [files, files.slice(1)] });
  reference = `oci:${layout}`;
});

function startPuller(): ChildProcess {
  const argv = ["--import", "tsx", PULLER, reference];
  return spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
}

async function kill(puller: ChildProcess): Promise<void> {
  puller.kill("SIGKILL");
  if (puller.exitCode === null && puller.signalCode === null) await once(puller, "exit");
}

/** Programs of a jail of this test's store. */
function jailProcesses(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(`/proc/${pid}/cmdline`).includes(store.root))
    .filter((pid) => Number(pid) !== process.pid);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

async function eventually(check: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!check()) {
    assert.ok(Date.now() < deadline, "in time");
    await sleep(10);
  }
}

/** What a killed pull may have left; the image itself is there whole, or not at all. */
async function assertNothingHalfMade(): Promise<void> {
  for (const image of await listImages()) {
    if (image.isBuiltIn) continue;
    const resolved = await resolveImage(image.reference, { pull: "never" });
    assert.equal(readFileSync(resolved.layers[0] ?? "").length, image.sizeBytes);
  }
}

test("a pull killed at any moment leaves nothing to be seen, and the next one cleans up", {
  skip,
}, async () => {
  const steps = ["reading", "unpacking"];
  for (const step of steps) {
    for (const delayMs of [0, 40, 120]) {
      const puller = startPuller();
      let output = "";
      puller.stdout?.on("data", (data: Buffer) => {
        output += data.toString();
      });
      await eventually(() => output.includes(step) || puller.exitCode !== null);
      await sleep(delayMs);
      await kill(puller);
      await eventually(() => jailProcesses().length === 0);
      await assertNothingHalfMade();
    }
    await removeImage(reference).catch(() => {});
  }
  const image = await resolveImage(reference);
  assert.ok(existsSync(image.layers[0] ?? ""));
  assert.deepEqual(storeEntries("work"), []);
  assert.equal(storeEntries("content").length, 1);
  await removeImage(reference);
});

test("a pull that is under way is not taken for a dead one", { skip }, async () => {
  const puller = startPuller();
  const ended = once(puller, "exit");
  await eventually(() => storeEntries("work").length > 0);
  const other = store.path("other");
  writeLayout(other, { layers: [[{ path: "small" }]] });
  await resolveImage(`oci:${other}`);
  assert.deepEqual(await ended, [0, null]);
  assert.equal(storeEntries("content").length, 2);
  await removeImage(reference);
});

test("processes wait for each other, and the image is made once", { skip }, async () => {
  const pullers = Array.from({ length: 3 }, startPuller);
  const outputs = await Promise.all(
    pullers.map(async (puller) => {
      let output = "";
      puller.stdout?.on("data", (data: Buffer) => {
        output += data.toString();
      });
      const [code] = await once(puller, "close");
      assert.equal(code, 0);
      return output;
    }),
  );
  assert.equal(outputs.filter((output) => output.includes("unpacking")).length, 1);
  await removeImage(reference);
});

test("a pull that is called off ends at once, and leaves nothing", { skip }, async () => {
  const controller = new AbortController();
  const log = (line: string): void => {
    if (line.startsWith("unpacking")) setTimeout(() => controller.abort(), 10);
  };
  const started = Date.now();
  await assert.rejects(resolveImage(reference, { log, signal: controller.signal }), {
    code: "COMMAND_ABORTED",
  });
  assert.ok(Date.now() - started < 20_000);
  assert.deepEqual(jailProcesses(), []);
  assert.deepEqual(storeEntries("work"), []);
  await assert.rejects(resolveImage(reference, { signal: AbortSignal.abort() }));
});
