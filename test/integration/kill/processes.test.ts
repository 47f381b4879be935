// SPDX-License-Identifier: Apache-2.0
// The shim lives, and one of its pod's other processes is killed: as it is launched, while the guest
// comes up, while its container is made and started, while it runs, while it is removed.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DEFAULT_MOUNTS } from "../../../src/guest-protocol/oci/docker-defaults.ts";
import { isRunning } from "../../../src/host/journal/liveness.ts";
import { toProcessHandle } from "../../../src/host/sandbox-state.ts";
import { listTemplates } from "../../../src/sandbox/template/store.ts";
import { TtrpcError } from "../../../src/ttrpc/ttrpc-error.ts";
import { chooseSome, REPEAT } from "../../support/kill/choose.ts";
import type { PodLife } from "../../support/kill/life.ts";
import {
  liveStruck,
  MOMENTS,
  type Moment,
  type ProcessStrike,
  type StruckLife,
} from "../../support/kill/struck-life.ts";
import { LANES, Sweep } from "../../support/kill/sweep.ts";
import { VICTIMS, type Victim } from "../../support/kill/victims.ts";
import { mukon } from "../../support/mukon.ts";
import { type Pod, PodWorld } from "../../support/pod-world.ts";
import { cannotUserNetwork } from "../../support/user-network-world.ts";

/** Beside one for each process as it is launched. */
const LATER = 7;
/** The longest comes close to how long a clone, or a container, takes to be made under emulation. */
const DELAYS_MS: Record<Moment, readonly number[]> = {
  launched: [0, 1, 3, 10, 30],
  booting: [0, 20, 60, 150, 300, 600, 1200],
  creating: [0, 20, 60, 150, 300, 600],
  starting: [0, 5, 20, 60, 150],
  running: [0, 50],
  removing: [0, 2, 10, 30, 100, 300],
};
/** It is there only once something is shared. */
const LATER_OF: Partial<Record<Victim, readonly Moment[]>> = {
  virtiofsd: ["creating", "starting", "running", "removing"],
};
/** What its client must be told of by name. */
const NAMES: Record<Victim, RegExp> = {
  ...{ vmm: /VMM|vmm|QEMU/, keeper: /keeper/, virtiofsd: /virtiofsd/ },
  ...{ network: /network/, passt: /passt/ },
};
const KILLED = 137;
const LOST = 255;

let world: PodWorld;
let sweep: Sweep;
let neighbour: Pod;
let templates: string[];
const disk = mkdtempSync("/var/tmp/mukon-t-");
before(async () => {
  writeFileSync(join(disk, "kept"), "kept");
  world = new PodWorld({ isApart: true });
  const volume = { type: "bind", source: disk, destination: "/data", options: ["rbind", "rw"] };
  const spec = { mounts: [...DEFAULT_MOUNTS, volume] };
  sweep = await Sweep.begin(world, { spec, command: ["sleep", "1000"] });
  const network = cannotUserNetwork ? [] : ["--network", "user"];
  const all = ["-v", `${disk}:/data`, ...network, "busybox", "sleep", "1000"];
  neighbour = await world.start("neighbour", all);
  world.keepWhatIsThere();
  templates = listTemplates();
});
after(async () => {
  await sweep.end();
  await world.end();
  rmSync(disk, { recursive: true, force: true });
});

/** Each as it is launched, and some of all that could be done to them later. */
function strikes(): ProcessStrike[] {
  const strikesOn = (victim: Victim, moments: readonly Moment[]): ProcessStrike[] =>
    moments.flatMap((moment) => DELAYS_MS[moment].map((delayMs) => ({ victim, moment, delayMs })));
  const victims = VICTIMS.filter((victim) => victim !== "passt" || !cannotUserNetwork);
  const [atLaunch, ...later] = MOMENTS;
  const all = victims.flatMap((victim) => strikesOn(victim, LATER_OF[victim] ?? later));
  return [
    ...victims.flatMap((victim) => chooseSome(strikesOn(victim, [atLaunch]), 1)),
    ...chooseSome(all, LATER),
  ];
}

/** What of its end a client does not learn as it should. */
function unclear({ strike, isHit, failure, status }: StruckLife): string | undefined {
  const { victim, moment } = strike;
  if (!isHit) return moment === "removing" ? undefined : "nobody was hit";
  const isEnd = status === undefined || status === LOST;
  if (!isEnd && !(moment === "removing" && status === KILLED)) return `it ended with ${status}`;
  if (failure === undefined) return undefined;
  if (!(failure instanceof TtrpcError)) return `no answer of the shim's: ${failure.stack}`;
  const [, code, hint] = /\[([A-Z_]+)\] \((.+)\)$/s.exec(failure.message) ?? [];
  const isClear = code !== undefined && code !== "INTERNAL" && hint !== undefined;
  return isClear && NAMES[victim].test(failure.message) ? undefined : failure.message;
}

async function assertNeighbourUnharmed(): Promise<void> {
  for (const [role, record] of Object.entries(neighbour.state.processes)) {
    assert.ok(isRunning(toProcessHandle(record)), `the neighbour's ${role} has ended`);
  }
  const { code, stdout, stderr } = await mukon(["exec", neighbour.id, "cat", "/data/kept"]);
  assert.equal(stdout, "kept", `${code}: ${stderr}`);
}

/** Struck at the same time; what they leave, by themselves and after their client has cleaned up. */
async function liveAndCompare(group: readonly ProcessStrike[]): Promise<StruckLife[]> {
  const lives = group.map(({ victim }, lane) =>
    sweep.newLife(lane, ["network", "passt"].includes(victim) ? "new" : "given"),
  );
  const all = await Promise.all(
    group.map(async (strike, lane) => await liveStruck(lives[lane] as PodLife, strike)),
  );
  try {
    await world.assertNothingLeft();
    await sweep.assertNothingLeft();
    await sweep.cleanUp(lives);
  } catch (error) {
    throw new Error(`${(error as Error).message}\nafter one of: ${JSON.stringify(group)}`);
  }
  return all;
}

test("kill -9 of any other process at any time: the client is told, and nothing is left", {
  timeout: 1_800_000,
}, async (t) => {
  const chosen = strikes();
  const problems: string[] = [];
  for (let first = 0; first < chosen.length; first += LANES) {
    for (const struck of await liveAndCompare(chosen.slice(first, first + LANES))) {
      const problem = unclear(struck);
      if (problem !== undefined) problems.push(`${JSON.stringify(struck.strike)}: ${problem}`);
    }
    await assertNeighbourUnharmed();
    assert.deepEqual(listTemplates(), templates, "a template was blamed");
  }
  assert.deepEqual(problems, [], REPEAT);
  assert.deepEqual(readdirSync(disk), ["kept"], "what was shared is untouched");
  t.diagnostic(`${chosen.length} lives; ${REPEAT}`);
});
