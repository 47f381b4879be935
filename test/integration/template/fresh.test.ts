// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { listSandboxes, readSandboxState } from "../../../src/host/sandbox-state.ts";
import { outcomeOf, startMukon } from "../../support/mukon.ts";
import { TemplateWorld } from "../../support/template-world.ts";

/** More by hand: MUKON_TEST_CLONES=50. */
const CLONES = Number(process.env.MUKON_TEST_CLONES ?? 10);
const MAX_CLOCK_ERROR_MS = 50;
const CLOCK_READINGS = 5;
/** One answer a line, when it is asked for one. */
const SCRIPT = `
while read -r question; do
  case $question in
    random) head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n'; echo ;;
    uuid) cat /proc/sys/kernel/random/uuid ;;
    boot) cat /proc/sys/kernel/random/boot_id ;;
    host) hostname ;;
    stack) sed -n 's/ .*\\[stack\\]//p' /proc/self/maps ;;
    clock) adjtimex | sed -n 's/.*time.tv_.*: *//p' | tr '\\n' ' '; echo ;;
  esac
done`;

let world: TemplateWorld;
let template: string;
before(async () => {
  world = new TemplateWorld();
  template = await world.build();
});
after(() => world.end());

interface Clone {
  random: string;
  uuid: string;
  boot: string;
  host: string;
  stack: string;
  /** How far the clock is off for certain, whatever the way to it took. */
  clockErrorMs: number;
}

test(`${CLONES} clones share no random byte, no uuid, no boot id, no name; their clocks are right`, async () => {
  const clones: Clone[] = [];
  for (let count = 0; count < CLONES; count++) clones.push(await lookIntoClone());
  for (const fact of ["random", "uuid", "boot", "host", "stack"] as const) {
    const values = clones.map((clone) => clone[fact]);
    assert.ok(
      values.every((value) => value.length >= 10),
      `${fact}: ${values.join(", ")}`,
    );
    assert.equal(new Set(values).size, CLONES, `${fact}: ${values.join(", ")}`);
  }
  const off = clones.map(({ clockErrorMs }) => clockErrorMs);
  assert.ok(Math.max(...off) <= MAX_CLOCK_ERROR_MS, `off by ms: ${off.join(", ")}`);
  await world.assertNothingLeft();
});

async function lookIntoClone(): Promise<Clone> {
  const child = startMukon(["run", "--rm", "-i", "busybox", "sh", "-c", SCRIPT]);
  const ended = outcomeOf(child);
  const ask = conversation(child);
  const random = await ask("random");
  assert.equal(startedFrom(), template, "the pod was booted");
  const clone: Clone = {
    random,
    uuid: await ask("uuid"),
    boot: await ask("boot"),
    host: await ask("host"),
    stack: await ask("stack"),
    clockErrorMs: await clockError(ask),
  };
  child.stdin?.end();
  const { code, stderr } = await ended;
  assert.equal(code, 0, stderr);
  return clone;
}

function startedFrom(): string | undefined {
  const [key = ""] = listSandboxes();
  return readSandboxState(key)?.template;
}

function conversation(child: ChildProcess): (question: string) => Promise<string> {
  assert.ok(child.stdout && child.stdin);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (question) => {
    child.stdin?.write(`${question}\n`);
    const line = await lines.next();
    assert.ok(line.done !== true, `no answer to ${question}`);
    return line.value.trim();
  };
}

/** The guest read its clock between question and answer: what it says must lie between them. */
async function clockError(ask: (question: string) => Promise<string>): Promise<number> {
  let error = 0;
  for (let count = 0; count < CLOCK_READINGS; count++) {
    const asked = Date.now();
    const [seconds = Number.NaN, microseconds = Number.NaN] = (await ask("clock"))
      .split(" ")
      .map(Number);
    const answered = Date.now();
    const told = seconds * 1000 + microseconds / 1000;
    error = Math.max(error, asked - told, told - answered);
  }
  return error;
}
