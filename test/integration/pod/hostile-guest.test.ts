// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Hostility, makeHostileGuest } from "../../support/hostile-guest.ts";
import { peakKeeperMemory } from "../../support/keeper-watch.ts";
import { mukon, type Outcome } from "../../support/mukon.ts";
import { type Pod, PodWorld } from "../../support/pod-world.ts";
import { peakMemoryMib, threadsOf } from "../../support/process-facts.ts";

// A guest that is not ours any more: its agent is one of test/support/hostile-agents.

/** Enough for a slow machine to boot. */
const BOOT_SECONDS = 45;
/** For guests that never answer, each of which costs this. */
const SHORT_SECONDS = 15;
const GRACE_MS = 15_000;
const MAX_KEEPER_MIB = 200;
const MAX_WORDS = 16 * 1024;
const BYSTANDER = "test-bystander";

let world: PodWorld;
let hostile: (hostility: Hostility) => Record<string, string>;
let bystander: Pod;

before(async () => {
  world = new PodWorld();
  hostile = await makeHostileGuest(world);
  bystander = await world.start(BYSTANDER, ["busybox", "sleep", "1000"]);
  world.keepWhatIsThere();
});
after(() => world.end());

const NEVER_BOOTS: { hostility: Hostility; title: string; reason: RegExp; seconds?: number }[] = [
  {
    hostility: "console",
    seconds: SHORT_SECONDS,
    title: "never answers, and floods the console",
    reason: /agent.*did not answer in time/s,
  },
  {
    hostility: "garbage",
    title: "answers with random bytes",
    reason: /the other side sent/,
  },
  {
    hostility: "length",
    title: "claims a message of 4 GiB",
    reason: /a frame longer than 4 MiB/,
  },
  {
    hostility: "endless",
    seconds: SHORT_SECONDS,
    title: "sends messages without end that nobody asked for",
    reason: /agent.*did not answer in time/s,
  },
];

for (const { hostility, title, reason, seconds } of NEVER_BOOTS) {
  test(`a guest that ${title} costs its own pod, in time and in bounds`, async () => {
    const { result, peakMib } = await runHostile(hostility, ["busybox", "true"], seconds);
    assert.equal(result.code, 125, result.stderr);
    assert.match(result.stderr, /GUEST_BOOT_FAILED/);
    assert.match(result.stderr, reason);
    assert.ok(result.stderr.length < MAX_WORDS, `${result.stderr.length} characters of errors`);
    assertPlain(result.stderr);
    assert.ok(peakMib > 0 && peakMib < MAX_KEEPER_MIB, `the keeper took ${peakMib} MiB`);
    await assertOnlyBystander();
  });
}

test("a guest that lies about exit codes, output and ids is not believed", async () => {
  const { result, peakMib } = await runHostile("liar", ["busybox", "true"]);
  // What cannot be known is 255, as in Kata.
  assert.equal(result.code, 255, result.stderr);
  assert.ok(result.stdout.length < 1024, `${result.stdout.length} bytes of output`);
  assert.ok(peakMib > 0 && peakMib < MAX_KEEPER_MIB, `the keeper took ${peakMib} MiB`);
  await assertOnlyBystander();
});

test("a container that no signal ends, in a guest that writes for ever, is ended with its VM", async () => {
  const name = "test-immortal";
  configure("immortal", BOOT_SECONDS);
  const pod = await world.start(name, ["busybox", "true"]);
  const startedAt = Date.now();
  const removed = await mukon(["rm", "--force", name], { timeoutMs: 2 * GRACE_MS });
  assert.equal(removed.code, 0, `after ${Date.now() - startedAt} ms: ${removed.stderr}`);
  assert.deepEqual(threadsOf(pod.vmmPid), []);
  await assertOnlyBystander();
});

test("a deadline holds in a guest that does not", async () => {
  const { result, peakMib } = await runHostile("immortal", ["--timeout", "2s", "busybox", "true"]);
  assert.notEqual(result.code, 0, result.stderr);
  assert.ok(peakMib > 0 && peakMib < MAX_KEEPER_MIB, `the keeper took ${peakMib} MiB`);
  await assertOnlyBystander();
});

function configure(hostility: Hostility, bootSeconds: number): void {
  world.configure({
    "hypervisor.qemu": hostile(hostility),
    "agent.kata": { dial_timeout: bootSeconds },
    runtime: { create_container_timeout: 5 },
  });
}

async function runHostile(
  hostility: Hostility,
  args: string[],
  bootSeconds = BOOT_SECONDS,
): Promise<{ result: Outcome; peakMib: number }> {
  configure(hostility, bootSeconds);
  const timeoutMs = bootSeconds * 1000 + GRACE_MS;
  const watched = await peakKeeperMemory(mukon(["run", "--rm", ...args], { timeoutMs }));
  assert.notEqual(watched.result.code, null, "the command did not end within its deadline");
  return watched;
}

/** The attack went to nobody else, and left nothing. */
async function assertOnlyBystander(): Promise<void> {
  const exec = await mukon(["exec", BYSTANDER, "echo", "unharmed"]);
  assert.equal(exec.stdout, "unharmed\n", exec.stderr);
  assert.ok(peakMemoryMib(bystander.keeperPid) < MAX_KEEPER_MIB);
  await world.assertNothingLeft();
}

/** What a terminal would take for a command, the guest must not be able to print. */
function assertPlain(text: string): void {
  const control = [...text].filter((one) => one < " " && one !== "\n" && one !== "\t");
  assert.deepEqual(control, [], "control characters of the guest reach the terminal");
}
