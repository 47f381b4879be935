// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { auditSandbox } from "../../../src/host/audit/audit.ts";
import type { AuditedProcess, AuditReport, AuditRole } from "../../../src/host/audit/types.ts";
import { acquireIdentity } from "../../../src/host/identity/acquire.ts";
import type { PodIdentity } from "../../../src/host/identity/types.ts";
import { programJail } from "../../../src/host/jail/program-jail.ts";
import { Journal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import { launchConfined } from "../../../src/host/launcher/launch.ts";
import type { ConfinedLaunch } from "../../../src/host/launcher/types.ts";
import { createRuntimeDirectory } from "../../../src/host/runtime-dir/runtime-dir.ts";
import {
  listSandboxes,
  type SandboxState,
  toProcessRecord,
  writeSandboxState,
} from "../../../src/host/sandbox-state.ts";
import { socketPair } from "../../../src/linux/descriptors.ts";
import { readStartTime } from "../../../src/linux/process-status.ts";
import { useTemporaryRoots } from "../../unit/host/roots.ts";
import { leavesNoTrace, SKIP_UNLESS_ROOT, testIdentities } from "./support.ts";

interface Pod {
  key: string;
  identity: PodIdentity;
  state: SandboxState;
}

/** Turns a seccomp filter on, as QEMU does, and then sleeps. */
const FILTERED =
  "import ctypes,time;" +
  "libc=ctypes.CDLL(None);" +
  "f=(ctypes.c_ushort*4)(6,0,0,0x7fff);" +
  "class_=type('P',(ctypes.Structure,),{'_fields_':[('n',ctypes.c_ushort),('p',ctypes.c_void_p)]});" +
  "p=class_(1,ctypes.cast(f,ctypes.c_void_p));" +
  "assert libc.prctl(22,2,ctypes.byref(p))==0;" +
  "print('on',flush=True);time.sleep(600)";
const UNFILTERED = "import time; print('on', flush=True); time.sleep(600)";
const NO_PYTHON =
  spawnSync("/usr/bin/python3", ["--version"]).status === 0
    ? SKIP_UNLESS_ROOT
    : "needs python3, whose program stands in for a VMM with a seccomp filter";

/** A pod as a shim makes it, with this test as its shim and sleepers as its programs. */
async function makePod(
  key: string,
  change: { vmm?: Partial<ConfinedLaunch>; keeper?: Partial<ConfinedLaunch> } = {},
): Promise<Pod> {
  const journal = Journal.open(key);
  const identity = await acquireIdentity({ config: testIdentities("auto"), journal });
  const runtimeDirectory = await createRuntimeDirectory(identity, journal);
  const start = async (role: "vmm" | "keeper", argv: string[]) => {
    const launched = await launchConfined({
      role,
      argv,
      uid: identity[role].uid,
      gid: identity[role].gid,
      groups: [],
      jail: await programJail(argv[0] ?? "", ["/usr/lib"]),
      stdio: ["ignore", "pipe", "ignore"],
      ...change[role],
    });
    const record = toProcessRecord(launched);
    journal.append({ type: "process", role, ...record });
    return { record, child: launched.child };
  };
  const vmm = await start("vmm", ["/usr/bin/python3", "-c", FILTERED]);
  await new Promise((done) => vmm.child.stdout?.once("data", done));
  const keeper = await start("keeper", ["/usr/bin/python3", "-c", FILTERED]);
  await new Promise((done) => keeper.child.stdout?.once("data", done));
  journal.close();
  const state: SandboxState = {
    id: key,
    namespace: "mukon",
    bundle: "/nowhere",
    hypervisor: "qemu",
    accelerator: "tcg",
    rootless: true,
    createdAt: new Date().toISOString(),
    identity,
    runtimeDirectory,
    processes: {
      shim: { pid: process.pid, startTime: Number(readStartTime(process.pid)) },
      keeper: keeper.record,
      vmm: vmm.record,
    },
  };
  writeSandboxState(key, state);
  return { key, identity, state };
}

function processOf(report: AuditReport, role: AuditRole): AuditedProcess {
  const found = report.processes.find((item) => item.role === role);
  assert.ok(found, `no ${role} among ${report.processes.map((item) => item.role).join(", ")}`);
  return found;
}

describe("the audit of a pod", { skip: NO_PYTHON }, () => {
  const { root } = useTemporaryRoots();
  leavesNoTrace();
  afterEach(async () => {
    for (const key of listSandboxes()) await tearDown(key);
  });

  it("finds all promises kept when they are, and lists every fact", async () => {
    const { identity } = await makePod("good");
    await makePod("neighbour");
    const report = await auditSandbox("good");
    const vmm = processOf(report, "vmm");
    assert.deepEqual(vmm.verdicts, { P1: "kept", P2: "kept", P3: "kept" });
    assert.equal(vmm.userName, identity.vmm.name);
    assert.equal(vmm.groupName, identity.vmm.name);
    assert.equal(vmm.uid, identity.vmm.uid);
    assert.deepEqual(vmm.groups, []);
    assert.equal(vmm.capabilities.bounding, "0000000000000000");
    assert.equal(vmm.noNewPrivileges, true);
    assert.equal(vmm.seccomp, 2);
    const { net, ipc, uts, user, mnt } = vmm.namespaces;
    assert.deepEqual([net, ipc, uts, user, mnt], ["own", "own", "own", "host", "own"]);
    const keeper = processOf(report, "keeper");
    assert.deepEqual(keeper.verdicts, { P1: "kept", P2: "kept", P3: "kept" });
    assert.equal(keeper.userName, String(identity.keeper.uid));
    const shim = processOf(report, "shim");
    assert.equal(shim.userName, "root");
    assert.deepEqual(shim.verdicts, { P1: "trusted", P2: "trusted", P3: "trusted" });
    assert.equal(report.isKept, true);
    assert.deepEqual(report.ended, []);
    assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
  });

  it("finds a VMM that runs as root", async () => {
    const { state } = await makePod("as-root", { vmm: { uid: 0, gid: 0, isRootAllowed: true } });
    writeSandboxState("as-root", { ...state, rootless: false });
    const report = await auditSandbox("as-root");
    assert.match(
      processOf(report, "vmm").verdicts.P1,
      /^broken: .*rootless = false.*user ids are 0/,
    );
    assert.equal(report.isKept, false);
  });

  it("finds a group that is not that of /dev/kvm, and a missing seccomp filter", async () => {
    await makePod("groups", { vmm: { groups: [6] } });
    assert.match(
      processOf(await auditSandbox("groups"), "vmm").verdicts.P1,
      /^broken: supplementary groups are 6, not none/,
    );
    const argv = ["/usr/bin/python3", "-c", UNFILTERED];
    const { state, key } = await makePod("no-filter", { keeper: { argv } });
    assert.match(processOf(await auditSandbox(key), "keeper").verdicts.P1, /seccomp/);
    const { keeper, ...others } = state.processes;
    assert.ok(keeper);
    writeSandboxState(key, { ...state, processes: { ...others, vmm: keeper } });
    assert.match(processOf(await auditSandbox(key), "vmm").verdicts.P1, /seccomp/);
  });

  it("finds a process of the pod's user that nobody wrote down", async () => {
    const { identity } = await makePod("forked");
    const child = spawn(
      "setpriv",
      ["--reuid", String(identity.vmm.uid), "--clear-groups", "--", "/bin/sleep", "600"],
      { stdio: "ignore" },
    );
    await new Promise((done) => child.once("spawn", done));
    for (let tries = 0; tries < 200; tries += 1) {
      const report = await auditSandbox("forked");
      const unknown = report.processes.find(({ role }) => role === "unknown");
      if (unknown?.program !== "sleep") continue;
      assert.equal(unknown.pid, child.pid);
      assert.match(unknown.verdicts.P1, /^broken/);
      assert.match(unknown.verdicts.P2, /host's net namespace/);
      return;
    }
    assert.fail("it was not found");
  });

  it("finds what two pods share", async () => {
    const [left, right] = socketPair();
    try {
      await makePod("one", { vmm: { stdio: ["ignore", "pipe", "ignore", left] } });
      const other = await makePod("two", { vmm: { stdio: ["ignore", "pipe", "ignore", left] } });
      const shared = processOf(await auditSandbox("one"), "vmm").verdicts.P2;
      assert.match(shared, /^broken: it shares a socket with sandbox two$/);
      const one = await auditSandbox("one");
      assert.equal(processOf(one, "keeper").verdicts.P2, "kept");
      // The same ids, as if a block had been given out twice.
      const { state } = other;
      const stolen = { ...state, identity: state.identity, id: "three" };
      Journal.open("three").close();
      writeSandboxState("three", { ...stolen, processes: { shim: state.processes.shim } });
      const verdict = processOf(await auditSandbox("two"), "vmm").verdicts.P2;
      assert.match(verdict, /sandbox three has the same block of ids/);
    } finally {
      closeSync(left);
      closeSync(right);
    }
  });

  it("finds a runtime directory that others may enter", async () => {
    const { state } = await makePod("open-directory");
    chmodSync(state.runtimeDirectory ?? "", 0o755);
    const report = await auditSandbox("open-directory");
    assert.match(processOf(report, "vmm").verdicts.P2, /is not for its user alone/);
  });

  it("finds files and nodes that were given to the pod's user", async () => {
    const file = join(root(), "scratch.img");
    writeFileSync(file, "");
    const fd = openSync(file, "r+");
    try {
      const stdio = ["ignore", "pipe", "ignore", fd] as const;
      const { identity } = await makePod("given", { vmm: { stdio } });
      assert.equal(processOf(await auditSandbox("given"), "vmm").verdicts.P3, "kept");
      chownSync(file, 0, identity.vmm.gid);
      assert.match(
        processOf(await auditSandbox("given"), "vmm").verdicts.P3,
        /^broken: .*scratch\.img was given to its user or group$/,
      );
    } finally {
      closeSync(fd);
    }
  });

  it("finds a KVM node that is open to everybody", async (test) => {
    const node = join(root(), "kvm");
    assert.equal(spawnSync("mknod", ["-m", "0666", node, "c", "1", "3"]).status, 0);
    process.env.MUKON_KVM_NODE = node;
    test.after(() => {
      delete process.env.MUKON_KVM_NODE;
    });
    await makePod("open-kvm");
    const verdict = processOf(await auditSandbox("open-kvm"), "vmm").verdicts.P3;
    assert.match(verdict, /kvm is open to everybody \(mode 0666\)/);
    chmodSync(node, 0o660);
    assert.equal(processOf(await auditSandbox("open-kvm"), "vmm").verdicts.P3, "kept");
  });

  it("tells which processes have ended", async () => {
    const { state } = await makePod("ended");
    process.kill(state.processes.keeper?.pid ?? 0, "SIGKILL");
    for (let tries = 0; tries < 200; tries += 1) {
      if ((await auditSandbox("ended")).ended.includes("keeper")) return;
    }
    assert.fail("the keeper is still listed");
  });

  it("says so when there is no such sandbox", async () => {
    await assert.rejects(auditSandbox("none"), { code: "SANDBOX_NOT_FOUND" });
  });
});
