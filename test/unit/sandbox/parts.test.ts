// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { loadedDefaults } from "../../../src/config/load.ts";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { identityOf } from "../../../src/host/identity/types.ts";
import { Journal, readJournal } from "../../../src/host/journal/journal.ts";
import { readStartTime } from "../../../src/linux/process-status.ts";
import { openDisk } from "../../../src/sandbox/disk-file.ts";
import { Loss, podEnded } from "../../../src/sandbox/loss.ts";
import { OwnedDescriptors } from "../../../src/sandbox/owned-descriptors.ts";
import { openPodJournal, tearDownOwn } from "../../../src/sandbox/pod-journal.ts";
import { Stages } from "../../../src/sandbox/stages.ts";
import { vmmLaunch } from "../../../src/sandbox/vmm.ts";

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-sandbox-"));
  process.env.MUKON_RUN_ROOT = join(directory, "run");
});
after(() => {
  delete process.env.MUKON_RUN_ROOT;
  rmSync(directory, { recursive: true, force: true });
});

test("a failure names its stage and the guest's last words, and keeps its code and hint", async () => {
  const stages = new Stages();
  await stages.run("first", () => 1);
  const details = { stage: "agent", consoleTail: "line 1\n\nKernel panic\n" };
  const failing = stages.run("boot", () => {
    throw new MukonError("GUEST_BOOT_FAILED", "no agent", { hint: "look", details });
  });
  await assert.rejects(failing, (error: MukonError) => {
    assert.equal(error.code, "GUEST_BOOT_FAILED");
    assert.match(
      error.message,
      /stage: boot, agent\): no agent\n.*console:\n {4}line 1\n {4}Kernel panic$/,
    );
    assert.equal(error.hint, "look");
    assert.equal(error.details?.stage, "boot, agent");
    return true;
  });
  assert.deepEqual(
    stages.all.map(({ name }) => name),
    ["first", "boot"],
  );
});

test("a pod is lost once, for the first reason, and not when its end was asked for", async () => {
  const child = spawn("sh", ["-c", "exit 3"], { stdio: "ignore" });
  const launched = { pid: child.pid ?? 0, startTime: 0n, child, stderrTail: () => "bad luck\n" };
  const loss = new Loss();
  loss.watch("VMM", launched);
  assert.match((await loss.happened).message, /VMM ended \(exit code 3\): bad luck/);
  loss.report(podEnded("later"));
  assert.match(loss.error?.message ?? "", /VMM/);
  const late = new Loss();
  late.watch("VMM", launched);
  assert.match((await late.happened).message, /VMM/, "also when it had ended before");
  const served = new Loss();
  const servant = spawn("sh", ["-c", "exit 0"], { stdio: "ignore" });
  served.watch("virtiofsd", { ...launched, child: servant }, { isServant: true });
  await once(servant, "close");
  served.watch("VMM", launched);
  assert.match((await served.happened).message, /VMM/, "it has only served the VMM");
  const expected = new Loss();
  expected.expect();
  expected.watch("VMM", launched);
  assert.equal(expected.error, undefined);
});

test("descriptors are closed once, and not when they were given away", () => {
  const owned = new OwnedDescriptors();
  const [a, b] = owned.socketPair();
  assert.equal(owned.release(a), a);
  owned.closeAll();
  owned.closeAll();
  assert.throws(() => closeSync(b), /EBADF/);
  closeSync(a);
});

test("a disk is a file or a block device, opened for no more than it may", () => {
  const path = join(directory, "disk");
  writeFileSync(path, "x", { mode: 0o400 });
  closeSync(openDisk(path, { readOnly: true }));
  for (const wrong of [directory, "/dev/null", join(directory, "missing")]) {
    assert.throws(() => openDisk(wrong, { readOnly: true }), { code: "DISK_INVALID" });
  }
});

test("the journal of a killed owner is cleaned up and begun again; a living one's is not", async () => {
  const dead = spawn("true", { stdio: "ignore" });
  const owner = { pid: dead.pid ?? 0, startTime: 1n };
  Journal.open("dead", { owner }).close();
  const journal = await openPodJournal("dead");
  const [first] = readJournal("dead").entries;
  assert.ok(first?.type === "process" && first.pid === process.pid);
  await assert.rejects(openPodJournal("dead"), { code: "SANDBOX_EXISTS" });
  journal.close();
  await tearDownOwn("dead");
  assert.ok(!existsSync(journal.directory));

  const other = spawn("sleep", ["1000"], { stdio: "ignore" });
  const handle = { pid: other.pid ?? 0, startTime: readStartTime(other.pid ?? 0) ?? 0n };
  const theirs = Journal.open("theirs", { owner: handle });
  await tearDownOwn("theirs");
  assert.ok(existsSync(theirs.directory), "another shim's pod is left alone");
  assert.equal(other.exitCode, null);
  theirs.close();
  other.kill();
});

test("the VMM is launched as the pod's user, in no group without KVM; as root only when asked to", () => {
  const image = join(directory, "image");
  writeFileSync(image, "");
  truncateSync(image, 2 * 1024 * 1024);
  chmodSync(image, 0o444);
  const descriptors = new OwnedDescriptors();
  const { qemu } = loadedDefaults().configuration.hypervisor;
  const request = {
    name: "p",
    files: { kernelPath: image, initrdPath: image, imagePath: image },
    virtualization: { accelerator: "tcg" as const },
    identity: identityOf(30000, "kata-", "useradd"),
    jail: { paths: ["/usr/bin/qemu"], devices: [] },
    sockets: { qmp: 100, agent: 101, console: 102 },
    memory: { kind: "own" as const, descriptor: 103 },
    descriptors,
  };
  const launch = vmmLaunch({ ...request, settings: qemu });
  assert.deepEqual([launch.uid, launch.gid], [30000 * 65536 + 65520, 30000 * 65536 + 65520]);
  assert.deepEqual(launch.groups, []);
  assert.equal(launch.jail, request.jail);
  assert.equal(launch.isRootAllowed, false);
  assert.deepEqual(launch.stdio.slice(0, 6), ["ignore", "ignore", "pipe", 100, 101, 102]);
  assert.equal(launch.stdio.at(-2), 103);
  const byDescriptor = { accelerator: "kvm", kvmAccess: "descriptor" } as const;
  process.env.MUKON_KVM_NODE = "/dev/null";
  const onKvm = vmmLaunch({ ...request, settings: qemu, virtualization: byDescriptor });
  delete process.env.MUKON_KVM_NODE;
  assert.deepEqual(onKvm.groups, [], "what is given KVM needs no group for it");
  assert.equal(readlinkSync(`/proc/self/fd/${onKvm.stdio.at(-1)}`), "/dev/null");
  const asRoot = vmmLaunch({ ...request, settings: { ...qemu, rootless: false } });
  assert.deepEqual([asRoot.uid, asRoot.gid, asRoot.isRootAllowed], [0, 0, true]);
  descriptors.closeAll();
});
