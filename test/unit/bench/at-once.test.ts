// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { atOnce } from "../../../bench/at-once.ts";
import { timeToOutput } from "../../../bench/time-to-output.ts";

const directory = mkdtempSync(join(tmpdir(), "mukon-at-once-"));
after(() => rmSync(directory, { recursive: true }));
const NOBODY_STOPS = new AbortController().signal;
const marker = "here";
const shell = (script: string): string[] => ["sh", "-c", script];
/** Runs on until it is asked to end; then it cleans up, which takes it a moment. */
const slow = (file: string): string[] =>
  shell(
    `trap 'sleep 0.2; touch ${file}; exit 1' TERM; touch ${file}.ready; while :; do sleep 0.05; done`,
  );

test("each is measured, to its first output and to its end", async () => {
  const samples = await atOnce(3, NOBODY_STOPS, (signal) =>
    timeToOutput(shell("echo here; sleep 1"), { marker, signal }),
  );
  assert.equal(samples.length, 3);
  for (const { outputMs, endMs } of samples) assert.ok(endMs - outputMs > 100);
});

test("the first that fails is named with what it said, and the others have cleaned up", async () => {
  const cleaned = join(directory, "failed");
  let count = 0;
  const work = atOnce(2, NOBODY_STOPS, (signal) => {
    count += 1;
    const failing = `until [ -e ${cleaned}.ready ]; do sleep 0.05; done; echo no room >&2; exit 7`;
    const argv = count === 1 ? slow(cleaned) : shell(failing);
    return timeToOutput(argv, { marker, signal });
  });
  await assert.rejects(work, { message: /sh -c until .*\n.*exit code 7.*\nno room$/s });
  assert.ok(existsSync(cleaned), "nobody waited for the other one");
});

test("who is stopped waits until all have cleaned up, and says why", async () => {
  const cleaned = join(directory, "stopped");
  const stop = new AbortController();
  const work = atOnce(2, stop.signal, (signal) =>
    timeToOutput(slow(cleaned), { marker: "never", signal }),
  );
  while (!existsSync(`${cleaned}.ready`)) await delay(20);
  stop.abort(new Error("stopped by SIGINT"));
  await assert.rejects(work, { message: "stopped by SIGINT" });
  assert.ok(existsSync(cleaned));
});

test("a command that ends well without the marker, or that is not there, has failed", async () => {
  for (const [argv, message] of [
    [shell("echo nothing"), /without having printed "here".*nothing/s],
    [["/nowhere/mukon"], /could not be started.*ENOENT/],
  ] as const) {
    await assert.rejects(timeToOutput(argv, { marker, signal: NOBODY_STOPS }), { message });
  }
});
