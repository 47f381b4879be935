// SPDX-License-Identifier: Apache-2.0
// A shim that is killed when its guest runs, at the steps by which it shares something with it.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DEFAULT_MOUNTS } from "../../../src/guest-protocol/oci/docker-defaults.ts";
import type { TracedCall } from "../../support/kill/calls.ts";
import { chooseSome, REPEAT } from "../../support/kill/choose.ts";
import { STEPS_OF_SHARING } from "../../support/kill/steps.ts";
import { Sweep } from "../../support/kill/sweep.ts";
import { cannotTrace } from "../../support/kill/tracer.ts";
import { ARE_CLONED, PodWorld } from "../../support/pod-world.ts";

/** Beside those at the steps themselves; where guests boot, each takes as long as that. */
const OTHERS = ARE_CLONED ? 8 : 0;

let world: PodWorld;
let sweep: Sweep;
let calls: TracedCall[];
const disk = mkdtempSync("/var/tmp/mukon-t-");
before(async () => {
  if (cannotTrace) return;
  writeFileSync(join(disk, "kept"), "kept");
  world = new PodWorld({ isApart: true });
  const volume = { type: "bind", source: disk, destination: "/data", options: ["rbind", "rw"] };
  const spec = { mounts: [...DEFAULT_MOUNTS, volume] };
  sweep = await Sweep.begin(world, { spec, isSharing: true });
  calls = await sweep.record();
});
after(async () => {
  rmSync(disk, { recursive: true, force: true });
  if (cannotTrace) return;
  await sweep.end();
  await world.end();
});

test("kill -9 of the shim at each step of sharing: delete leaves nothing", {
  skip: cannotTrace,
}, async (t) => {
  const first = calls.findIndex(({ entry }) => entry === STEPS_OF_SHARING[0]);
  assert.ok(first > 0);
  const sharing = calls.slice(first);
  const steps = sharing.flatMap((call, index) =>
    STEPS_OF_SHARING.includes(call.entry ?? "") ? [call, sharing[index + 1] ?? call] : [],
  );
  const others = chooseSome(
    sharing.filter((call) => !steps.includes(call)),
    OTHERS,
  );
  const hit = new Set<string>();
  await sweep.strikeAll(
    [...steps, ...others].map((at) => ({ at, interference: { signal: "SIGKILL" } as const })),
    ({ calls: lived }) => {
      const entered = lived.findLast(({ entry }) => entry !== undefined)?.entry ?? "";
      hit.add(lived.at(-1)?.entry === undefined ? `after ${entered}` : `before ${entered}`);
    },
  );
  for (const step of STEPS_OF_SHARING) assert.ok(hit.has(`before ${step}`), `before ${step}`);
  assert.deepEqual(readdirSync(disk), ["kept"], "what was shared is untouched");
  t.diagnostic(`${steps.length + others.length} lives: ${[...hit].join(", ")}; ${REPEAT}`);
});
