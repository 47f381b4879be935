// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { loadConfiguration } from "../../../src/config/load.ts";
import { checkHost } from "../../../src/host/check/check.ts";
import { checkKvmNode } from "../../../src/host/check/kvm-node.ts";
import { kvmGroup } from "../../../src/host/launcher/kvm-group.ts";
import { SKIP_UNLESS_ROOT } from "./support.ts";

/** There on every Debian, and nobody's here. */
const GROUP = "games";
const GID = 60;

describe("the KVM node", { skip: SKIP_UNLESS_ROOT }, () => {
  let folder = "";
  let node = "";
  let rules = "";
  const real = statSync("/dev/kvm", { throwIfNoEntry: false });

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "mukon-kvm-"));
    node = join(folder, "kvm");
    rules = join(folder, "rules.d");
    process.env.MUKON_KVM_NODE = node;
    process.env.MUKON_KVM_GROUP = GROUP;
    process.env.MUKON_UDEV_RULES_DIRECTORY = rules;
  });
  beforeEach(() => {
    rmSync(node, { force: true });
    rmSync(rules, { recursive: true, force: true });
    // The numbers of /dev/null: harmless, whoever opens it.
    assert.equal(spawnSync("mknod", ["-m", "0600", node, "c", "1", "3"]).status, 0);
  });
  after(() => {
    delete process.env.MUKON_KVM_NODE;
    delete process.env.MUKON_KVM_GROUP;
    delete process.env.MUKON_UDEV_RULES_DIRECTORY;
    rmSync(folder, { recursive: true, force: true });
    const now = statSync("/dev/kvm", { throwIfNoEntry: false });
    assert.deepEqual([now?.mode, now?.gid], [real?.mode, real?.gid], "/dev/kvm was changed");
  });

  const needsGroup = async (): Promise<boolean> => true;

  function setNode(gid: number, mode: number): void {
    chownSync(node, 0, gid);
    chmodSync(node, mode);
  }

  it("gives the gid that owns it, whatever that is called", () => {
    setNode(GID, 0o660);
    assert.deepEqual(kvmGroup(), { gid: GID });
    setNode(54_321, 0o660);
    assert.deepEqual(kvmGroup(), { gid: 54_321 });
  });

  it("gives no group when everybody may use it", () => {
    setNode(0, 0o666);
    assert.deepEqual(kvmGroup(), { gid: undefined });
  });

  for (const mode of [0o600, 0o660, 0o664, 0o662]) {
    it(`never gives the root group (mode ${mode.toString(8)})`, () => {
      setNode(0, mode);
      assert.throws(() => kvmGroup(), { code: "KVM_GROUP_ROOT", hint: /mukon check --fix/ });
    });
  }

  for (const mode of [0o600, 0o640, 0o620]) {
    it(`says that its group may not use it (mode ${mode.toString(8)})`, () => {
      setNode(GID, mode);
      assert.throws(() => kvmGroup(), { code: "KVM_NODE_CLOSED", hint: /mukon check --fix/ });
    });
  }

  it("says that it is missing, or something else", () => {
    rmSync(node);
    assert.throws(() => kvmGroup(), { code: "KVM_NODE_MISSING" });
    writeFileSync(node, "");
    assert.throws(() => kvmGroup(), { code: "KVM_NODE_INVALID" });
  });

  for (const [title, gid, mode] of [
    ["belongs to the root group", 0, 0o600],
    ["is closed to its group", GID, 0o600],
    ["is open to everybody", GID, 0o666],
    ["is open to everybody, and of the root group", 0, 0o666],
  ] as const) {
    it(`is reported, and then put right for good, when it ${title}`, async () => {
      setNode(gid, mode);
      const reported = await checkKvmNode({ fix: false, needsGroup });
      assert.equal(reported.status, "failed");
      assert.match(reported.remedy ?? "", /mukon check --fix/);
      assert.equal(statSync(node).mode & 0o777, mode);
      assert.equal(existsSync(rules), false);

      const fixed = await checkKvmNode({ fix: true, needsGroup });
      assert.equal(fixed.status, "fixed", fixed.message);
      const { mode: newMode, gid: newGid, uid } = statSync(node);
      assert.deepEqual([newMode & 0o777, newGid, uid], [0o660, GID, 0]);
      const rule = readFileSync(join(rules, "85-mukon-kvm.rules"), "utf8");
      assert.match(rule, /^KERNEL=="kvm", .*GROUP="games", MODE="0660"/m);
      assert.deepEqual(kvmGroup(), { gid: GID });
      assert.equal((await checkKvmNode({ fix: true, needsGroup })).status, "ok");
    });
  }

  it("may be root's alone where VMMs get it as a descriptor, and still not be open to all", async () => {
    const byDescriptor = { fix: true, needsGroup: async () => false };
    for (const [gid, mode] of [
      [0, 0o600],
      [GID, 0o600],
    ] as const) {
      setNode(gid, mode);
      assert.equal((await checkKvmNode(byDescriptor)).status, "ok");
      const { mode: newMode, gid: newGid } = statSync(node);
      assert.deepEqual([newMode & 0o777, newGid], [mode, gid]);
    }
    setNode(GID, 0o666);
    assert.equal((await checkKvmNode({ ...byDescriptor, fix: false })).status, "failed");
  });

  it("is a warning only when it is missing: there is emulation", async () => {
    rmSync(node);
    const result = await checkKvmNode({ fix: true, needsGroup });
    assert.equal(result.status, "warning");
    assert.equal(existsSync(node), false);
  });

  it("is not fixed by chmod when it is no node", async () => {
    rmSync(node);
    writeFileSync(node, "", { mode: 0o600 });
    assert.equal((await checkKvmNode({ fix: true, needsGroup })).status, "failed");
    assert.equal(statSync(node).mode & 0o777, 0o600);
  });

  it("is one line of the check of the host, with what other layers know", async () => {
    setNode(GID, 0o660);
    const { configuration } = await loadConfiguration({ env: {} });
    const results = await checkHost({
      configuration,
      probes: {
        accelerator: async () => ({ accelerator: "tcg", reason: "no guest ran" }),
        guest: async () => {
          throw new Error("not built");
        },
      },
    });
    const names = results.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    const find = (name: string) => results.find((result) => result.name === name);
    assert.equal(find("kvm-node")?.status, "ok");
    assert.match(find("accelerator")?.message ?? "", /no guest ran/);
    assert.equal(find("accelerator")?.status, "warning");
    assert.equal(find("guest-image")?.status, "failed");
    assert.equal(find("guest-image")?.remedy, "mukon guest build");
    for (const { status, message, remedy } of results) {
      assert.equal(remedy === undefined, status === "ok" || status === "fixed", message);
      assert.ok(!message.includes("\n"));
    }
  });
});
