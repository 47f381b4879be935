// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { runtimeDirectoryOf } from "../../../src/host/runtime-dir/runtime-dir.ts";
import { type Captured, CONTROLS, PROGRAM, tryAs } from "../../support/captured-process.ts";
import { opensKvm, type Pod, PodWorld } from "../../support/pod-world.ts";
import { descriptorsOf, isHostFile, threadsOf } from "../../support/process-facts.ts";

// mukon assumes that a VMM is captured one day: this is what the attacker finds, beside a second pod.

let world: PodWorld;
let pod: Pod;
let other: Pod;
before(async () => {
  world = new PodWorld();
  const script = ["busybox", "sleep", "1000"];
  pod = await world.start("test-captured", ["--scratch", "64m", ...script]);
  other = await world.start("test-other", script);
});
after(() => world.end());

test("a captured VMM reaches nothing of the host's, of its keeper's, or of another pod's", async () => {
  await assertNothingReached(captured(pod.vmmPid), [pod.keeperPid]);
});

test("a captured keeper reaches nothing of the host's, of its VMM's, or of another pod's", async () => {
  await assertNothingReached(captured(pod.keeperPid), [pod.vmmPid]);
});

test("a captured VMM cannot open its own read-only files again for writing", async () => {
  const files = descriptorsOf(pod.vmmPid).filter((one) => isHostFile(one) && one.status.isFile());
  // It is the first process of its pid namespace.
  const paths = (isWritable: boolean): string[] =>
    files.filter((one) => one.isWritable === isWritable).map(({ fd }) => `/proc/1/fd/${fd}`);
  assert.ok(paths(false).length >= 3, "kernel, initrd, image or layers are not among its files");
  const vmm = captured(pod.vmmPid);
  const reads = paths(false).map((path) => `: <${path}`);
  const writes = paths(false).map((path) => `: >>${path}`);
  const done = await tryAs(vmm, [...reads, ...writes]);
  assert.deepEqual(
    done.filter((probe) => writes.includes(probe)),
    [],
  );
  // As it does itself when it boots: else the attempts would prove nothing.
  assert.ok(
    done.some((probe) => reads.includes(probe)),
    "it cannot open them for reading either",
  );
  // The one file that it may write to is the scratch disk of its own container.
  const writable = files.filter(({ isWritable }) => isWritable).map(({ target }) => target);
  const scratch = new RegExp(`/mukon-scratch-${pod.id}\\.img$`);
  assert.deepEqual(
    writable.filter((target) => !scratch.test(target)),
    [],
  );
});

async function assertNothingReached(who: Captured, otherHalf: number[]): Promise<void> {
  const strangers = [pod.shimPid, other.shimPid, other.vmmPid, other.keeperPid, ...otherHalf];
  const runtimeDirectory = runtimeDirectoryOf(other.identity.vmm.uid);
  const places = [
    ...[
      "/home",
      "/root",
      "/sys",
      "/run/user",
      "/tmp",
      "/var",
      "/etc/passwd",
      "/etc/shadow",
      "/bin/sh",
    ],
    ...["sys", "kcore", "cpuinfo", "meminfo", "kallsyms"].map((name) => `/proc/${name}`),
    ...["/..", "/proc/1/root/..", "/proc/1/cwd/.."].map((path) => `${path}/home`),
    ...["sandboxes", "bundles", "s", "identities"].map((name) => join(world.runRoot, name)),
    ...[runtimeDirectory, "/var/lib/mukon/guest"],
    ...descriptorsOf(who.pid).map(({ fd }) => `/proc/1/fd/${fd}/..`),
    ...strangers.map((pid) => `/proc/${pid}`),
  ];
  const probes = [
    ...places.map((path) => `test -e ${path}`),
    ...strangers.map((pid) => `kill -0 ${pid}`),
    ...devices().map((path) => `: <${path}`),
    ...["/x", "/dev/x", "/proc/1/oom_score_adj", "/etc/ld.so.cache", "/usr/x"].map(
      (path) => `: >>${path}`,
    ),
    ...["0", String(other.identity.vmm.uid)].map((id) => `setpriv --reuid ${id} ${PROGRAM}`),
    `setpriv --regid 0 ${PROGRAM}`,
    `setpriv --groups ${other.identity.vmm.gid} ${PROGRAM}`,
    ...["mount", "user", "pid", "net"].map((name) => `unshare --${name} ${PROGRAM}`),
    "hostname captured",
    `chroot / ${PROGRAM}`,
    "pivot_root / /proc",
  ];
  // That the attempts themselves work, those must show that may succeed.
  assert.deepEqual(await tryAs(who, [...CONTROLS, ...probes]), CONTROLS);
}

function captured(pid: number): Captured {
  const [thread] = threadsOf(pid);
  const [uid, gid] = [thread?.uids[0], thread?.gids[0]];
  assert.ok(thread && uid !== undefined && gid !== undefined);
  return { pid, uid, gid, groups: thread.groups };
}

/** Disks, memory and KVM: what udev gives to root, or to a group, alone. */
function devices(): string[] {
  const names = readdirSync("/dev").filter((name) =>
    /^(kvm|mem|port|vd|sd|nvme|loop|dm-)/.test(name),
  );
  return names
    .map((name) => join("/dev", name))
    .filter((path) => {
      const status = statSync(path);
      const isUsed = path === "/dev/kvm" && opensKvm(pod);
      return !isUsed && (status.isBlockDevice() || status.isCharacterDevice());
    });
}
