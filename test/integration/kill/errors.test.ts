// SPDX-License-Identifier: Apache-2.0
// A host that runs out of disk, memory or descriptors at any system call of the shim's, and signals
// that interrupt them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { TtrpcError } from "../../../src/ttrpc/ttrpc-error.ts";
import { isInJail, type TracedCall } from "../../support/kill/calls.ts";
import { chooseSome, REPEAT } from "../../support/kill/choose.ts";
import { describe, Sweep } from "../../support/kill/sweep.ts";
import { cannotTrace } from "../../support/kill/tracer.ts";
import { PodWorld } from "../../support/pod-world.ts";

/** By which calls each error can come, according to their manual pages. */
const ERRORS: Readonly<Record<string, { calls: readonly string[]; count: number }>> = {
  ENOSPC: {
    calls: ["mkdir", "openat", "symlink", "rename", "write", "mount", "ftruncate", "unshare"],
    count: 10,
  },
  EMFILE: { calls: ["openat", "ioctl", "socketpair", "pipe2", "memfd_create"], count: 6 },
  ENOMEM: {
    calls: ["mkdir", "openat", "symlink", "rename", "mount", "clone", "unshare", "mount_setattr"],
    count: 6,
  },
};
/** Of the hundreds by which jails are built, as many for each error. */
const IN_JAIL = 2;
const INTERRUPTIBLE = ["openat", "write", "ftruncate"];
const INTERRUPTED = 8;

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
  await sweep.record();
  calls = await sweep.record();
});
after(async () => {
  if (cannotTrace) return;
  await sweep.end();
  await world.end();
});

/** Of the start: what a shim does when it is told to end follows the last entry of its journal. */
function callsOfStart(names: readonly string[]): TracedCall[] {
  const end = calls.findLastIndex(({ entry }) => entry !== undefined);
  return calls.slice(0, end).filter(({ name }) => names.includes(name));
}

/** What a client of containerd gets to see: "what failed [CODE] (what to do)". */
function toldBy(failure: Error | undefined): { code?: string; hint?: string } {
  if (!(failure instanceof TtrpcError)) return {};
  const [, code, hint] = /\[([A-Z_]+)\] \((.+)\)$/s.exec(failure.message) ?? [];
  return { ...(code === undefined ? {} : { code }), ...(hint === undefined ? {} : { hint }) };
}

for (const [errorName, { calls: names, count }] of Object.entries(ERRORS)) {
  test(`${errorName} at any call: an error that says so, and nothing is left`, {
    skip: cannotTrace,
  }, async (t) => {
    const all = callsOfStart(names);
    const chosen = [
      ...chooseSome(all.filter(isInJail), IN_JAIL),
      ...chooseSome(
        all.filter((call) => !isInJail(call)),
        count,
      ),
    ];
    const strikes = chosen.map((at) => ({ at, interference: { errorName } }));
    const codes = new Map<string, number>();
    const unclear: string[] = [];
    await sweep.strikeAll(strikes, (struck) => {
      const { code, hint } = toldBy(struck.failure);
      const told = `${describe(struck.strike)}: ${struck.failure?.message}`;
      // Not all is needed by a pod: without the rest it starts, and is ended by the test.
      const isHit = struck.calls.some(({ isInjected }) => isInjected);
      const key = isHit ? (struck.hasLived ? "started" : String(code)) : "not hit";
      codes.set(key, (codes.get(key) ?? 0) + 1);
      if (struck.endedItself) unclear.push(`the shim itself has ended: ${told}`);
      if (struck.hasLived) return;
      if (code === undefined || code === "INTERNAL" || hint === undefined) unclear.push(told);
    });
    assert.deepEqual(unclear, [], "what a client is not told well");
    t.diagnostic(`${JSON.stringify(Object.fromEntries(codes))}; ${REPEAT}`);
  });
}

test("EINTR at any call: the pod starts all the same", { skip: cannotTrace }, async (t) => {
  const chosen = chooseSome(callsOfStart(INTERRUPTIBLE), INTERRUPTED);
  const strikes = chosen.map((at) => ({ at, interference: { errorName: "EINTR" } }));
  await sweep.strikeAll(strikes, (struck) => {
    assert.ok(struck.hasLived, `${describe(struck.strike)}: ${struck.failure?.message}`);
  });
  t.diagnostic(`${strikes.length} lives; ${REPEAT}`);
});
