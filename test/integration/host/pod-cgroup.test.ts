// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { deviceLimitsOf } from "../../../src/host/cgroups/device-limits.ts";
import { type CgroupHierarchy, cgroupHierarchies } from "../../../src/host/cgroups/hierarchies.ts";
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

/** What a process of root's in a cgroup finds when it opens a node. */
function opened(cgroup: string, node: string): string {
  const script = 'echo $$ >"$1/cgroup.procs" && : <"$2" && echo opened';
  const { stdout, stderr } = spawnSync("sh", ["-c", script, "sh", cgroup, node]);
  return `${stdout}${stderr}`.trim();
}

for (const [kind, isMeant] of [
  ["rules of version 1", ({ isDevices }: CgroupHierarchy) => isDevices],
  ["a program of version 2", ({ version }: CgroupHierarchy) => version === 2],
] as const) {
  test(`devices that nobody allowed cannot be opened in the pod's cgroup: ${kind}`, async (t) => {
    const hierarchy = cgroupHierarchies().find(isMeant);
    if (hierarchy === undefined) return t.skip(`this host has no ${kind}`);
    const path = `/mukon-test-${process.pid}`;
    const directory = join(hierarchy.mountPoint, path);
    const lines: string[] = [];
    const log = createLogger({ component: "test", sink: (line) => lines.push(line) });
    const journal = Journal.open("cgroup-devices");
    const cgroup = PodCgroup.make({ path, journal, log, hierarchies: [hierarchy] });
    const refused = /not permitted/;
    assert.equal(opened(directory, "/dev/null"), "opened");
    assert.match(opened(directory, "/dev/zero"), refused);
    const pid = sleeper();
    assert.equal(deviceLimitsOf(pid, [hierarchy]), "any");
    await cgroup.add(pid);
    assert.equal(deviceLimitsOf(pid, [hierarchy]), "few");
    journal.append({ type: "process", role: "vmm", pid, startTime: Number(readStartTime(pid)) });
    cgroup.allowDevices("test", [{ major: 1, minor: 5 }]);
    assert.equal(opened(directory, "/dev/zero"), "opened");
    assert.match(opened(directory, "/dev/full"), refused);
    cgroup.allowDevices("test", [{ major: 1, minor: 7 }]);
    assert.match(opened(directory, "/dev/zero"), refused);
    assert.equal(opened(directory, "/dev/full"), "opened");
    cgroup.allowDevices("test", []);
    assert.match(opened(directory, "/dev/full"), refused);
    assert.equal(opened(directory, "/dev/urandom"), "opened");
    assert.deepEqual(lines, [], "nothing to warn of");
    journal.close();
    await tearDown("cgroup-devices");
  });
}

test("a cgroup of somebody else's keeps the devices that it had", async (t) => {
  const hierarchies = cgroupHierarchies().filter(
    ({ version, isDevices }) => version === 2 || isDevices,
  );
  if (hierarchies.length === 0) return t.skip("this host has no cgroups with devices");
  const path = `/mukon-test-${process.pid}`;
  const directories = hierarchies.map(({ mountPoint }) => join(mountPoint, path));
  for (const directory of directories) mkdirSync(directory);
  const log = createLogger({ component: "test", sink: () => {} });
  const journal = Journal.open("cgroup-theirs");
  PodCgroup.make({ path, journal, log, hierarchies });
  for (const directory of directories) assert.equal(opened(directory, "/dev/zero"), "opened");
  journal.close();
  await tearDown("cgroup-theirs");
  for (const directory of directories) rmdirSync(directory);
});

test("where cgroups cannot be written a warning says what that means", async () => {
  const lines: string[] = [];
  const log = createLogger({ component: "test", sink: (line) => lines.push(line) });
  const journal = Journal.open("cgroup-none");
  // A directory that cannot be made, as below a read-only mount.
  const nowhere = {
    mountPoint: "/sys/fs/cgroup/none",
    version: 2,
    isCpuset: false,
    isDevices: false,
  } as const;
  const cgroup = PodCgroup.make({ path: "/x", journal, log, hierarchies: [nowhere] });
  await cgroup.add(process.pid);
  journal.close();
  assert.match(lines.join("\n"), /neither accounts its processes to it nor limits them/);
  await tearDown("cgroup-none");
});
