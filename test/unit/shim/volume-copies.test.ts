// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { readSnapshot } from "../../../src/host/volume-copies/snapshot.ts";
import type { Logger } from "../../../src/logging/logger.ts";
import type { TaskKeeper } from "../../../src/shim/task/task-pod.ts";
import { VolumeCopies } from "../../../src/shim/task/volume-copies.ts";

const base = mkdtempSync(join(tmpdir(), "mukon-copies-"));
const first = join(base, "first");
const second = join(base, "second");
after(() => rmSync(base, { recursive: true }));
beforeEach(() => {
  for (const path of [first, second]) {
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, "old");
  }
});

type Put = Parameters<TaskKeeper["putVolumeEntry"]>[0];

/** Copies of both files; what the guest is sent, and the reasons of what it is not sent. */
async function copies(): Promise<{
  sent: string[];
  volumes: VolumeCopies;
  warned: Promise<string>;
}> {
  const sent: string[] = [];
  let warn: (reason: string) => void = () => {};
  const warned = new Promise<string>((done) => {
    warn = done;
  });
  const keeper = {
    putVolumeEntry: async ({ volume, kind, data }: Put) => {
      sent.push(`${volume} ${kind} ${Buffer.from(data, "base64").length}`);
      return {};
    },
  } as Pick<TaskKeeper, "putVolumeEntry">;
  const log = {
    warn: (_message: string, { error }: { error: Error }) => warn(error.message),
  } as unknown as Logger;
  const volumes = new VolumeCopies("c1", { keeper, log });
  const sources = [first, second].map((source) => ({
    ...{ source, destination: source, entries: readSnapshot(source) },
  }));
  await volumes.copy(sources);
  return { sent, volumes, warned };
}

test("a mounted file that becomes a directory is not followed, and why", async () => {
  const { sent, volumes, warned } = await copies();
  rmSync(first);
  mkdirSync(first);
  volumes.follow();
  assert.match(await warned, /first: it was a file and is a directory now/);
  volumes.close();
  assert.deepEqual(sent, ["c1-v0 file 3", "c1-v1 file 3"]);
});

test("what is removed is taken out of the guest, and a large file goes in parts", async () => {
  writeFileSync(first, Buffer.alloc(700 * 1024));
  const { sent, volumes } = await copies();
  await volumes.remove();
  assert.deepEqual(sent, [
    "c1-v0 file 524288",
    "c1-v0 file 192512",
    "c1-v1 file 3",
    "c1-v0 nothing 0",
    "c1-v1 nothing 0",
  ]);
});

test("a file that makes all together too large later is not followed", async () => {
  rmSync(second);
  mkdirSync(second);
  for (let count = 0; count < 4; count += 1) {
    writeFileSync(join(second, `${count}`), Buffer.alloc(1024 * 1024 - 1));
  }
  const { sent, volumes, warned } = await copies();
  const before = sent.length;
  writeFileSync(first, Buffer.alloc(1024));
  volumes.follow();
  assert.match(await warned, /first: .* over 4194304 bytes/);
  volumes.close();
  assert.equal(sent.length, before);
});
