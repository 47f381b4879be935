// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { summarize } from "../../../bench/statistics.ts";
import { listSandboxes, readSandboxState } from "../../../src/host/sandbox-state.ts";
import { writeProbeImage } from "../../support/freshness-image.ts";
import { mukon, outcomeOf, startMukon } from "../../support/mukon.ts";
import { TemplateWorld } from "../../support/template-world.ts";

/** More by hand, in some minutes: MUKON_TEST_CLONES=50, with MUKON_TEST_AT_ONCE for the impatient. */
const CLONES = Number(process.env.MUKON_TEST_CLONES ?? 10);
const AT_ONCE = Number(process.env.MUKON_TEST_AT_ONCE ?? 1);
const MAX_CLOCK_ERROR_MS = 50;
const CLOCK_READINGS = 5;
/** Steps of 64 ns: how far two looks at one secret may lie apart, on a machine that is busy. */
const SAME_SECRET_STEPS = (150 * 1e6) / 64;
const SEQUENCE_NUMBERS = 2 ** 32;

let world: TemplateWorld;
let template: string;
let image: string;
before(async () => {
  world = new TemplateWorld();
  template = await world.build();
  const layout = join(world.directory, "probe");
  await writeProbeImage(layout);
  image = `oci:${layout}`;
  const { code, stderr } = await mukon(["image", "pull", image]);
  assert.equal(code, 0, stderr);
});
after(() => world.end());

interface Facts {
  kernel: string;
  openssl: string;
  uuid: string;
  boot: string;
  host: string;
  stack: string;
  /** Empty: none. */
  machine: string;
  /** What two pairs of ports make of the kernel's secret, and the same again. */
  sequences: [number, number, number, number];
}

interface Clone extends Facts {
  clock: ClockError;
}

interface ClockError {
  /** How far it is off for certain, whatever the way to it took. */
  certainMs: number;
  /** How far it is off if both ways take as long, of the quickest reading. */
  likelyMs: number;
}

test(`${CLONES} clones have nothing random in common, nor a name; their clocks are right`, async (t) => {
  const clones: Clone[] = [];
  while (clones.length < CLONES) {
    const count = Math.min(AT_ONCE, CLONES - clones.length);
    clones.push(...(await Promise.all(Array.from({ length: count }, lookIntoClone))));
  }
  for (const fact of ["kernel", "openssl", "uuid", "boot", "host", "stack"] as const) {
    const values = clones.map((clone) => clone[fact]);
    assert.ok(
      values.every((value) => value.length >= 10),
      `${fact}: ${values.join(", ")}`,
    );
    assert.equal(new Set(values).size, CLONES, `${fact}: ${values.join(", ")}`);
  }
  // Containers have the machine id of their image, if that has one; the guest has none to give.
  assert.deepEqual([...new Set(clones.map(({ machine }) => machine))], [""]);
  assertOwnSequences(clones.map(({ sequences }) => sequences));
  for (const [what, which] of [
    ["certainly", "certainMs"],
    ["likely", "likelyMs"],
  ] as const) {
    const { p50, p95 } = summarize(clones.map(({ clock }) => clock[which]));
    t.diagnostic(
      `clocks are ${what} off by ${p50.toFixed(1)} ms (p50), ${p95.toFixed(1)} ms (p95)`,
    );
  }
  const off = clones.map(({ clock }) => clock.certainMs);
  assert.ok(Math.max(...off) <= MAX_CLOCK_ERROR_MS, `off by ms: ${off.join(", ")}`);
  await world.assertNothingLeft();
});

/** One look at a clone's secret is like the next one, and like none at any other clone's. */
function assertOwnSequences(all: readonly Facts["sequences"][]): void {
  for (const [first, second, firstAgain, secondAgain] of all) {
    assert.ok(isSameSecret([first, second], [firstAgain, secondAgain]), "no pattern to compare");
  }
  const pairs = all.map(([first, second]): [number, number] => [first, second]);
  for (const [index, pair] of pairs.entries()) {
    const twin = pairs.slice(index + 1).findIndex((other) => isSameSecret(pair, other));
    assert.equal(twin, -1, `clones ${index} and ${index + 1 + twin} begin connections alike`);
  }
}

function isSameSecret(some: [number, number], others: [number, number]): boolean {
  return some.every((value, index) => {
    const apart = Math.abs(value - (others[index] ?? 0));
    return Math.min(apart, SEQUENCE_NUMBERS - apart) <= SAME_SECRET_STEPS;
  });
}

async function lookIntoClone(): Promise<Clone> {
  const child = startMukon(["run", "--rm", "-i", image]);
  const ended = outcomeOf(child);
  const ask = conversation(child, ended);
  const facts = (await ask("facts")) as Facts;
  for (const key of listSandboxes()) {
    assert.equal(readSandboxState(key)?.template ?? template, template, "the pod was booted");
  }
  const clock = await clockError(ask as (question: "clock") => Promise<{ nowMs: number }>);
  child.stdin?.end();
  const { code, stderr } = await ended;
  assert.equal(code, 0, stderr);
  return { ...facts, clock };
}

function conversation(
  child: ChildProcess,
  ended: Promise<{ stderr: string }>,
): (question: string) => Promise<unknown> {
  assert.ok(child.stdout && child.stdin);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (question) => {
    child.stdin?.write(`${question}\n`);
    const line = await lines.next();
    if (line.done === true) throw new Error(`no answer to ${question}: ${(await ended).stderr}`);
    return JSON.parse(line.value);
  };
}

/** The guest read its clock between question and answer: what it says must lie between them. */
async function clockError(
  ask: (question: "clock") => Promise<{ nowMs: number }>,
): Promise<ClockError> {
  let [certainMs, likelyMs, quickestMs] = [0, 0, Number.POSITIVE_INFINITY];
  for (let count = 0; count < CLOCK_READINGS; count++) {
    const asked = Date.now();
    const { nowMs } = await ask("clock");
    const answered = Date.now();
    certainMs = Math.max(certainMs, asked - nowMs, nowMs - answered);
    if (answered - asked >= quickestMs) continue;
    quickestMs = answered - asked;
    likelyMs = Math.abs(nowMs - (asked + answered) / 2);
  }
  return { certainMs, likelyMs };
}
