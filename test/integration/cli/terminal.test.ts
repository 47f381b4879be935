// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, type TestContext, test } from "node:test";
import { MUKON, mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { PseudoTerminal } from "../../support/pseudo-terminal.ts";

const TIMEOUT_MS = 180_000;
const CTRL_C = "\x03";
const AS_FOUND = { isEchoing: true, isLineByLine: true, isTranslating: true };
const RAW = { isEchoing: false, isLineByLine: false, isTranslating: false };
/** What a shell prints when it waits for a command. */
const PROMPT = /\/ # /;

let world: PodWorld;
before(() => {
  world = new PodWorld();
});
after(() => world.end());

/** A failed test must not leave a program that waits for keys. */
function inTerminal(t: TestContext, ...args: string[]): PseudoTerminal {
  const terminal = new PseudoTerminal([...MUKON, ...args]);
  t.after(() => terminal.close());
  return terminal;
}

test("a shell in a terminal: its size, Ctrl-C, its exit code, and the terminal afterwards", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const terminal = inTerminal(t, "run", "--rm", "-it", "busybox", "sh");
  await terminal.waitFor(PROMPT);
  assert.deepEqual(terminal.mode, RAW);

  terminal.type("test -t 0 && test -t 1 && test -t 2 && echo $TERM-$((40 + 2))\r");
  await terminal.waitFor(/^xterm-42\r$/m);

  await terminal.waitFor(/^24 80\r$/m, { keys: "stty size\r" });
  terminal.resize(101, 37);
  await terminal.waitFor(/^37 101\r$/m, { keys: "stty size\r" });

  // In a group of its own before it says so: a key that came earlier would be the shell's.
  terminal.type("sh -c 'echo $((6 * 7))-sleeps; exec sleep 1000'\r");
  await terminal.waitFor(/^42-sleeps\r$/m);
  // Not for "^C": to interrupt, the kernel drops what is on its way to the screen, which that may be by then.
  await terminal.waitFor(/^42-sleeps\r\n.*\/ # /ms, { keys: CTRL_C });
  terminal.type("\recho code-$?\r");
  await terminal.waitFor(/^code-\d+\r$/m);

  terminal.type("exit 7\r");
  const outcome = await terminal.ended;
  assert.equal(outcome.code, 7, outcome.shown);
  assert.deepEqual(outcome.mode, AS_FOUND);
});

test("several terminals in one container, each ended by another signal, all left as found", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const name = `terminal-${randomBytes(4).toString("hex")}`;
  const script = "trap '' TERM; echo is-up; sleep 1000";
  const first = inTerminal(t, "run", "--name", name, "-it", "busybox", "sh", "-c", script);
  await first.waitFor(/^is-up\r$/m);

  const asOther = [
    "exec",
    "-u",
    "nobody",
    name,
    "sh",
    "-c",
    "id -u; grep CapEff /proc/self/status",
  ];
  assert.match((await mukon(asOther)).stdout, /^65534\nCapEff:\t0+\n$/);
  const stranger = await mukon(["exec", "-u", "stranger", name, "true"]);
  assert.match(stranger.stderr, /no user "stranger".*\[USER_NOT_FOUND\]/);

  const second = inTerminal(t, "exec", "-it", name, "sh");
  await second.waitFor(PROMPT);
  await second.waitFor(/^24 80\r$/m, { keys: "stty size\r" });
  second.resize(99, 33);
  await second.waitFor(/^33 99\r$/m, { keys: "stty size\r" });
  second.type("exit 3\r");
  const ended = await second.ended;
  assert.equal(ended.code, 3, ended.shown);
  assert.deepEqual(ended.mode, AS_FOUND);

  const third = inTerminal(t, "exec", "-it", name, "sh", "-c", "echo is-up; exec sleep 1000");
  await third.waitFor(/^is-up\r$/m);
  process.kill(third.pid, "SIGTERM");
  const stopped = await third.ended;
  assert.equal(stopped.code, 143, stopped.shown);
  assert.deepEqual(stopped.mode, AS_FOUND);

  const killed = await mukon(["kill", name]);
  assert.equal(killed.code, 0, killed.stderr);
  const outcome = await first.ended;
  assert.equal(outcome.code, 137, outcome.shown);
  assert.deepEqual(outcome.mode, AS_FOUND);
});

test("a container whose terminal is closed ends, and does not wait for keys for ever", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const script = "trap '' HUP TERM INT; echo is-up; while :; do sleep 1; done";
  const terminal = inTerminal(t, "run", "--rm", "-it", "busybox", "sh", "-c", script);
  await terminal.waitFor(/^is-up\r$/m);
  terminal.hangUp();
  assert.equal((await terminal.ended).code, 137);
});

test("without -t there is no terminal in the container, even where there is one outside", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const script = "test -t 0 || test -t 1 || echo none";
  const terminal = inTerminal(t, "run", "--rm", "busybox", "sh", "-c", script);
  const { code, shown } = await terminal.ended;
  assert.equal(code, 0, shown);
  assert.match(shown, /^none\r$/m);
});
