// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Moment, noteMoment, noteSteps, now } from "../../../src/logging/moments.ts";
import { Steps } from "../../../src/logging/steps.ts";

let directory: string;
let file: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-moments-"));
  file = join(directory, "moments");
});
after(() => {
  delete process.env.MUKON_MOMENTS_FILE;
  rmSync(directory, { recursive: true });
});

function moments(): Moment[] {
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Moment);
}

test("moments of all programs come into one file, one a line, on one clock", async () => {
  process.env.MUKON_MOMENTS_FILE = file;
  const began = Date.now();
  noteMoment("cli", "loaded");
  await new Steps("shim").run("disks", async () => {});
  noteSteps("keeper", now(), [
    { name: "restore", milliseconds: 40 },
    { name: "agent", milliseconds: 2 },
  ]);
  const all = moments();
  assert.deepEqual(
    all.map(({ program, name }) => `${program} ${name}`),
    ["cli loaded", "shim disks", "keeper restore", "keeper agent"],
  );
  for (const { at } of all) assert.ok(Math.abs(at - began) < 60_000, String(at));
  const [restore, agent] = [all[2]?.at ?? 0, all[3]?.at ?? 0];
  assert.equal(Math.round(agent - restore), 2);
});

test("without the variable nothing is written, and a file that cannot be costs nothing", () => {
  delete process.env.MUKON_MOMENTS_FILE;
  const before = moments().length;
  noteMoment("cli", "loaded");
  assert.equal(moments().length, before);
  process.env.MUKON_MOMENTS_FILE = join(directory, "none", "file");
  noteMoment("cli", "loaded");
});
