// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { after, before, test } from "node:test";
import type { AuditReport } from "../../../src/host/audit/types.ts";
import { runtimeDirectoryOf } from "../../../src/host/runtime-dir/runtime-dir.ts";
import { listMounts } from "../../../src/linux/mounts.ts";
import { readNamespaces } from "../../../src/linux/process-status.ts";
import { run } from "../../../src/linux/run.ts";
import { mukon } from "../../support/mukon.ts";
import { opensKvm, type Pod, PodWorld } from "../../support/pod-world.ts";
import {
  descriptorsOf,
  environmentOf,
  isHostFile,
  type OpenDescriptor,
  threadsOf,
} from "../../support/process-facts.ts";

const NAMES = ["test-confined-a", "test-confined-b"] as const;
const CAPABILITY_SETS = ["inheritable", "permitted", "effective", "bounding", "ambient"] as const;

let world: PodWorld;
let pods: Pod[];
let confined: { pod: Pod; role: "vmm" | "keeper"; pid: number }[];

before(async () => {
  world = new PodWorld({ blocks: NAMES.length });
  pods = [];
  for (const name of NAMES) pods.push(await world.start(name, ["busybox", "sleep", "1000"]));
  confined = pods.flatMap((pod) => [
    { pod, role: "vmm" as const, pid: pod.vmmPid },
    { pod, role: "keeper" as const, pid: pod.keeperPid },
  ]);
});
after(() => world.end());

test("every thread of VMM and keeper has the pod's ids, and no right beyond them", () => {
  for (const { pod, role, pid } of confined) {
    const { uid, gid } = pod.identity[role];
    assert.ok(uid >= world.ids.start && uid < world.ids.end, `uid ${uid} is out of range`);
    assert.equal(uid, gid);
    // KVM's group beside it where it opens that itself; else none.
    const groups = role === "vmm" && opensKvm(pod) ? kvmGroups() : [];
    const threads = threadsOf(pid);
    assert.ok(threads.length > 0);
    for (const thread of threads) {
      assert.deepEqual(thread.uids, [uid, uid, uid, uid], role);
      assert.deepEqual(thread.gids, [gid, gid, gid, gid], role);
      assert.deepEqual(thread.groups, groups, role);
      for (const set of CAPABILITY_SETS)
        assert.equal(thread.capabilities[set], 0n, `${role}: ${set}`);
      assert.equal(thread.noNewPrivileges, true, role);
      assert.equal(thread.seccomp, 2, `the ${role} has no seccomp filter`);
    }
    assert.equal(environmentOf(pid), "", `${role} has an environment`);
  }
});

test("the shim lacks every capability that it has no use for, in all of its threads", () => {
  // Modules, raw I/O, reboot, clocks, MAC, the kernel's log, BPF, its tracing.
  const unneeded = [16, 17, 22, 25, 32, 33, 34, 38, 39].reduce(
    (mask, bit) => mask | (1n << BigInt(bit)),
    0n,
  );
  for (const { shimPid } of pods) {
    for (const thread of threadsOf(shimPid)) {
      for (const set of CAPABILITY_SETS) assert.equal(thread.capabilities[set] & unneeded, 0n, set);
    }
  }
});

test("VMM and keeper have network, IPC, UTS, mount and pid namespaces that nobody shares", () => {
  const host = readNamespaces(process.pid);
  for (const name of ["net", "ipc", "uts", "mnt", "pid"] as const) {
    const all = [host[name], ...confined.map(({ pid }) => readNamespaces(pid)[name])];
    assert.equal(new Set(all).size, all.length, `${name}: ${all.join(" ")}`);
  }
});

test("VMM and keeper see nothing of the host but a few files, read-only", () => {
  for (const { pod, role, pid } of confined) {
    const root = `/proc/${pid}/root`;
    for (const path of ["etc/passwd", "etc/shadow", "home", "root", "sys", "proc/sys", "bin/sh"]) {
      assert.equal(existsSync(`${root}/${path}`), false, `${role} sees /${path}`);
    }
    assert.deepEqual(readdirSync(`${root}/etc`), ["ld.so.cache"]);
    const nodes = role === "vmm" && opensKvm(pod) ? ["kvm"] : [];
    assert.deepEqual(readdirSync(`${root}/dev`).sort(), [...nodes, "null", "urandom"]);
    for (const mount of listMounts(readFileSync(`/proc/${pid}/mountinfo`, "utf8"))) {
      assert.ok(mount.options.includes("ro") && mount.options.includes("nosuid"), mount.mountPoint);
    }
  }
});

test("VMM and keeper hold no directory, and no file of the host's that they could write to", () => {
  for (const { pod, role, pid } of confined) {
    const descriptors = descriptorsOf(pid);
    const list = (some: OpenDescriptor[]): string[] =>
      some.map(({ fd, target }) => `${fd} ${target}`);
    assert.deepEqual(list(descriptors.filter(({ status }) => status.isDirectory())), [], role);
    const writable = descriptors.filter((one) => one.isWritable && isHostFile(one));
    const allowed = ["/dev/null", ...(role === "vmm" ? ["/dev/kvm"] : [outputOf(pod)])];
    const surplus = writable.filter(({ target }) => !allowed.includes(target));
    assert.deepEqual(list(surplus), [], `${role} can write to files of the host`);
    const devices = descriptors.filter(({ status }) => status.isBlockDevice());
    assert.deepEqual(list(devices), [], role);
  }
});

test("no socket of a pod has a path, and none is in two processes", () => {
  const all = confined.flatMap(({ pid }) =>
    descriptorsOf(pid).filter(({ status }) => status.isSocket()),
  );
  assert.ok(all.length >= 2 * (3 + 5), `only ${all.length} sockets`);
  const inodes = all.map(({ status }) => status.ino);
  assert.equal(new Set(inodes).size, inodes.length);
});

test("pods share no id; each VMM's user has a name and a runtime directory of its own", async () => {
  const uids = confined.map(({ pod, role }) => pod.identity[role].uid);
  assert.equal(new Set(uids).size, confined.length);
  for (const { identity, state } of pods) {
    const { name, uid, gid } = identity.vmm;
    assert.match(name, /^kata-\d+$/);
    const user = await run(["getent", "passwd", name]);
    assert.deepEqual(user.stdout.split(":").slice(2, 4), [String(uid), String(gid)]);
    const group = await run(["getent", "group", String(gid)]);
    assert.equal(group.stdout.split(":")[0], name);
    const directory = runtimeDirectoryOf(uid);
    assert.equal(state.runtimeDirectory, directory);
    const { mode, ...owner } = statSync(directory);
    assert.deepEqual([mode & 0o7777, owner.uid, owner.gid], [0o700, uid, gid]);
  }
});

test("mukon audit finds the same, and every promise kept", async () => {
  for (const [index, pod] of pods.entries()) {
    const audit = await mukon(["audit", NAMES[index] ?? "", "--json"]);
    assert.equal(audit.code, 0, audit.stdout + audit.stderr);
    const [report] = JSON.parse(audit.stdout) as AuditReport[];
    assert.ok(report?.isKept && report.rootless);
    const roles = Object.fromEntries(report.processes.map((one) => [one.role, one]));
    assert.deepEqual(roles.vmm?.verdicts, { P1: "kept", P2: "kept", P3: "kept" });
    assert.deepEqual([roles.vmm?.root, roles.keeper?.root], ["jail", "jail"]);
    assert.deepEqual(roles.keeper?.verdicts, { P1: "kept", P2: "kept", P3: "kept" });
    assert.equal(roles.vmm?.userName, pod.identity.vmm.name);
    assert.deepEqual([roles.vmm?.pid, roles.keeper?.pid], [pod.vmmPid, pod.keeperPid]);
    assert.ok(!report.processes.some(({ role }) => role === "unknown"));
  }
});

test("with all ids of the range in use, one more pod is refused", async () => {
  const refused = await mukon(["run", "--rm", "busybox", "true"]);
  assert.equal(refused.code, 125);
  assert.match(refused.stderr, /ID_RANGE_EXHAUSTED/);
});

test("a pod that ends leaves nothing, and the other one runs on", async () => {
  const [first, second] = pods;
  assert.ok(first && second);
  assert.equal((await mukon(["rm", "--force", NAMES[0]])).code, 0);
  assert.deepEqual(threadsOf(first.vmmPid), []);
  assert.equal(
    statSync(runtimeDirectoryOf(first.identity.vmm.uid), { throwIfNoEntry: false }),
    undefined,
  );
  const user = await run(["getent", "passwd", first.identity.vmm.name], { allowFailure: true });
  assert.equal(user.stdout, "");
  assert.equal((await mukon(["exec", NAMES[1], "echo", "alive"])).stdout, "alive\n");
  assert.equal((await mukon(["rm", "--force", NAMES[1]])).code, 0);
  await world.assertNothingLeft();
});

function kvmGroups(): number[] {
  const { gid, mode } = statSync("/dev/kvm");
  return gid === 0 && (mode & 0o006) === 0o006 ? [] : [gid];
}

/** Where a detached container's output goes: the one file that its keeper writes to. */
function outputOf(pod: Pod): string {
  return `${world.runRoot}/bundles/${pod.id}/output.log`;
}
