// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { cgroupHierarchies } from "../../../src/host/cgroups/hierarchies.ts";
import { PodCgroup } from "../../../src/host/cgroups/pod-cgroup.ts";
import { Journal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import { readStartTime } from "../../../src/linux/process-status.ts";
import { createLogger } from "../../../src/logging/logger.ts";
import { PodWorld } from "../../support/pod-world.ts";

let world: PodWorld;
const children: ChildProcess[] = [];
before(() => {
  world = new PodWorld();
});
after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await world.end();
});

function sleeper(): number {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  children.push(child);
  return child.pid ?? 0;
}

/** Per hierarchy, the path that a process is in. */
function cgroupsOf(pid: number): string[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  return lines.map((line) => line.split(":").slice(2).join(":"));
}

test("processes are in the pod's cgroup of every hierarchy, which goes with them", async (t) => {
  const hierarchies = cgroupHierarchies();
  if (hierarchies.length === 0) return t.skip("this host has no cgroups below /sys/fs/cgroup");
  const parent = `/mukon-test-${process.pid}`;
  const path = `${parent}/pod`;
  const journal = Journal.open("cgroup-test");
  const lines: string[] = [];
  const log = createLogger({ component: "test", sink: (line) => lines.push(line) });
  const cgroup = PodCgroup.make({ path, journal, log });
  const pid = sleeper();
  await cgroup.add(pid);
  assert.deepEqual(lines, [], "nothing to warn of");
  assert.deepEqual(new Set(cgroupsOf(pid)), new Set([path]));
  const startTime = Number(readStartTime(pid));
  journal.append({ type: "process", role: "vmm", pid, startTime });
  journal.close();

  assert.equal(await tearDown("cgroup-test"), true);
  for (const { mountPoint } of hierarchies) assert.ok(!existsSync(join(mountPoint, parent)));
});

test("a cgroup that was there before the pod stays; strangers in the pod's own are named", async (t) => {
  const [hierarchy] = cgroupHierarchies();
  if (hierarchy === undefined) return t.skip("this host has no cgroups below /sys/fs/cgroup");
  const path = `/mukon-test-${process.pid}`;
  const log = createLogger({ component: "test", sink: () => {} });
  const first = Journal.open("cgroup-first");
  const stranger = sleeper();
  await PodCgroup.make({ path, journal: first, log, hierarchies: [hierarchy] }).add(stranger);
  first.close();
  const second = Journal.open("cgroup-second");
  PodCgroup.make({ path, journal: second, log, hierarchies: [hierarchy] });
  second.close();
  await tearDown("cgroup-second");
  assert.ok(existsSync(join(hierarchy.mountPoint, path)));

  await assert.rejects(tearDown("cgroup-first"), {
    code: "TEARDOWN_INCOMPLETE",
    message: new RegExp(`has processes: ${stranger}`),
  });
  children.find(({ pid }) => pid === stranger)?.kill("SIGKILL");
  await tearDown("cgroup-first");
  assert.ok(!existsSync(join(hierarchy.mountPoint, path)));
});

test("where cgroups cannot be written a warning says what that means", async () => {
  const lines: string[] = [];
  const log = createLogger({ component: "test", sink: (line) => lines.push(line) });
  const journal = Journal.open("cgroup-none");
  // A directory that cannot be made, as below a read-only mount.
  const nowhere = { mountPoint: "/sys/fs/cgroup/none", version: 2, isCpuset: false } as const;
  const cgroup = PodCgroup.make({ path: "/x", journal, log, hierarchies: [nowhere] });
  await cgroup.add(process.pid);
  journal.close();
  assert.match(lines.join("\n"), /neither accounts its processes to it nor limits them/);
  await tearDown("cgroup-none");
});
