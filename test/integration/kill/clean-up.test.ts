// SPDX-License-Identifier: Apache-2.0
// What cleans up is killed itself, and so are the programs that clients run, at each system call by
// which they change the host; the next mukon gc cleans up after all of them.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { TracedCall } from "../../support/kill/calls.ts";
import { chooseSome, REPEAT } from "../../support/kill/choose.ts";
import type { PodLife } from "../../support/kill/life.ts";
import { ageAll, runTraced } from "../../support/kill/program.ts";
import { Sweep } from "../../support/kill/sweep.ts";
import { cannotTrace } from "../../support/kill/tracer.ts";
import { MUKON, mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

/** Each takes about a second, and three on a busy machine. */
const KILLS = { gc: 8, delete: 5, start: 6, run: 6 } as const;
const KILL = { signal: "SIGKILL" } as const;

let world: PodWorld;
let sweep: Sweep;
before(async () => {
  if (cannotTrace) return;
  world = new PodWorld({
    isApart: true,
    settings: { "hypervisor.qemu": { accelerator: "tcg" } },
  });
  sweep = await Sweep.begin(world);
  await sweep.record();
});
after(async () => {
  if (cannotTrace) return;
  await sweep.end();
  await world.end();
});

const output = (): string => join(world.directory, "calls");

/** All that a pod has before its guest boots, and no shim any more. */
async function garbage(): Promise<PodLife> {
  const life = await sweep.abandon();
  ageAll();
  return life;
}

/** Whoever was killed: the next mukon gc leaves nothing, and no error. */
async function assertGcCleans(what: string): Promise<void> {
  ageAll();
  const { code, stderr } = await mukon(["gc"]);
  assert.equal(code, 0, `${what}: ${stderr}`);
  // A shim whose client has gone waits a while for another one.
  await world.assertNothingLeft(30_000).catch((error: Error) => {
    throw new Error(`${what}: ${error.message}`);
  });
  await sweep.assertNothingLeft();
}

async function killEach(
  all: readonly TracedCall[],
  count: number,
  kill: (at: TracedCall) => Promise<void>,
): Promise<number> {
  const chosen = chooseSome(all, count);
  for (const at of chosen) {
    await kill(at);
    await assertGcCleans(`killed at ${at.name} ${at.count}: ${at.text.slice(0, 200)}`);
  }
  return chosen.length;
}

test("mukon gc that is killed at any step: the next one cleans up", {
  skip: cannotTrace,
}, async (t) => {
  const gc = [...MUKON, "gc"];
  await garbage();
  const { calls, code, stderr } = await runTraced(gc, { output: output() });
  assert.equal(code, 0, stderr);
  await world.assertNothingLeft();
  const kills = await killEach(calls, KILLS.gc, async (at) => {
    await garbage();
    await runTraced(gc, { output: output(), at, interference: KILL });
  });
  t.diagnostic(`${kills} kills out of ${calls.length}; ${REPEAT}`);
});

test("delete that is killed at any step: mukon gc cleans up", { skip: cannotTrace }, async (t) => {
  const life = await garbage();
  const { calls, code, stderr } = await runTraced(life.command("delete"), { output: output() });
  assert.equal(code, 0, stderr);
  await world.assertNothingLeft();
  const kills = await killEach(calls, KILLS.delete, async (at) => {
    const next = await garbage();
    await runTraced(next.command("delete"), { output: output(), at, interference: KILL });
  });
  t.diagnostic(`${kills} kills out of ${calls.length}; ${REPEAT}`);
});

test("start that is killed at any step: delete and mukon gc clean up", {
  skip: cannotTrace,
}, async (t) => {
  const life = sweep.newLife();
  const cwd = life.bundle.directory;
  const { calls, code, stderr } = await runTraced(life.command("start"), { output: output(), cwd });
  assert.equal(code, 0, stderr);
  await life.delete();
  const kills = await killEach(calls, KILLS.start, async (at) => {
    const next = sweep.newLife();
    const request = { output: output(), cwd: next.bundle.directory, at, interference: KILL };
    await runTraced(next.command("start"), request);
    const deleted = await next.delete();
    assert.equal(deleted.code, 0, deleted.stderr);
  });
  t.diagnostic(`${kills} kills out of ${calls.length}; ${REPEAT}`);
});

test("mukon run that is killed at any step: mukon gc cleans up", {
  skip: cannotTrace,
}, async (t) => {
  // Without a keeper it fails early, and undoes all that it has made.
  const env = { MUKON_PROGRAMS: world.programs({ "keeper.cjs": "process.exit(7)" }) };
  Object.assign(process.env, env);
  try {
    const run = [...MUKON, "run", "--rm", "busybox", "true"];
    const { calls } = await runTraced(run, { output: output() });
    await world.assertNothingLeft();
    const kills = await killEach(calls, KILLS.run, async (at) => {
      await runTraced(run, { output: output(), at, interference: KILL });
    });
    t.diagnostic(`${kills} kills out of ${calls.length}; ${REPEAT}`);
  } finally {
    delete process.env.MUKON_PROGRAMS;
  }
});
