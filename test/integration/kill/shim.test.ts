// SPDX-License-Identifier: Apache-2.0
// A shim that is killed, or told to end, at each system call by which it changes the host: before an
// entry of its journal, between an entry and what it announces, and after that.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isInJail, type TracedCall } from "../../support/kill/calls.ts";
import { chooseSome, REPEAT } from "../../support/kill/choose.ts";
import { Sweep } from "../../support/kill/sweep.ts";
import { cannotTrace } from "../../support/kill/tracer.ts";
import { PodWorld } from "../../support/pod-world.ts";

/** Of the two hundred by which a jail is built, in a mount namespace that goes with the shim. */
const IN_JAIL = 8;
/** Of those that make and remove cgroups, which are many where there is a hierarchy for each controller. */
const IN_CGROUPS = 8;
const TERMINATED = 24;
const RETRIES = 5;

let world: PodWorld;
let sweep: Sweep;
let calls: TracedCall[];
before(async () => {
  if (cannotTrace) return;
  world = new PodWorld({
    isApart: true,
    settings: { "hypervisor.qemu": { accelerator: "tcg" } },
  });
  sweep = await Sweep.begin(world);
  // The first one also makes what stays until the next boot, such as lists of libraries.
  await sweep.record();
  calls = await sweep.record();
});
after(async () => {
  if (cannotTrace) return;
  await sweep.end();
  await world.end();
});

const isInCgroups = ({ text }: TracedCall): boolean => text.includes("/sys/fs/cgroup");

function moments(): TracedCall[] {
  const jail = chooseSome(calls.filter(isInJail), IN_JAIL);
  const cgroups = chooseSome(calls.filter(isInCgroups), IN_CGROUPS);
  const isChosen = (call: TracedCall): boolean =>
    isInJail(call) ? jail.includes(call) : !isInCgroups(call) || cgroups.includes(call);
  return calls.filter(isChosen);
}

/** Where a life ended: at which step, before its entry or after it. */
function whereItEnded(lived: readonly TracedCall[]): string[] {
  const last = lived.at(-1);
  if (last?.entry !== undefined) return [`before ${last.entry}`];
  const entered = lived.findLast(({ entry }) => entry !== undefined)?.entry;
  return entered === undefined ? [] : [`after ${entered}`];
}

test("kill -9 of the shim at each step: delete leaves nothing", {
  skip: cannotTrace,
}, async (t) => {
  const ends = new Set<string>();
  const meant = (): string[] => sweep.steps.flatMap((step) => [`before ${step}`, `after ${step}`]);
  const missed = (): string[] => meant().filter((end) => !ends.has(end));
  let lives = 0;
  const strike = async (some: readonly TracedCall[]): Promise<void> => {
    const interference = { signal: "SIGKILL" } as const;
    await sweep.strikeAll(
      some.map((at) => ({ at, interference })),
      (struck) => {
        lives += 1;
        for (const end of whereItEnded(struck.calls)) ends.add(end);
      },
    );
  };
  await strike(moments());
  // One life differs from another by a call or an entry: once more for what was not hit, by another record.
  for (let round = 0; round < RETRIES && missed().length > 0; round += 1) {
    calls = await sweep.record();
    await strike(calls.filter((call) => missed().some((end) => isAt(call, end))));
  }
  assert.deepEqual(missed(), [], `no shim was killed there, out of: ${[...ends].join(", ")}`);
  t.diagnostic(`${lives} lives; ${REPEAT}`);
});

/** Whether to be killed at this call is to end there. */
function isAt(call: TracedCall, end: string): boolean {
  const index = calls.indexOf(call);
  return whereItEnded(calls.slice(0, index + 1)).includes(end);
}

test("SIGTERM to the shim at each step: it leaves nothing itself", {
  skip: cannotTrace,
}, async (t) => {
  let lives = 0;
  await sweep.strikeAll(
    chooseSome(moments(), TERMINATED).map((at) => ({
      at,
      interference: { signal: "SIGTERM" } as const,
    })),
    () => {
      lives += 1;
    },
  );
  t.diagnostic(`${lives} lives; ${REPEAT}`);
});
