// SPDX-License-Identifier: Apache-2.0
// From a host that nobody has set up to one that works, and still does after it was restarted.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ID_BLOCK_SIZE, VMM_OFFSET } from "../../../src/host/identity/types.ts";
import type { TestHost } from "../host.ts";
import { check, nodeFacts, startTestHost } from "../support/session.ts";

const HELLO = ["mukon", "run", "--rm", "busybox", "echo", "hello"];
const KVM_RULE = '/KERNEL=="kvm"/d';
const BY_GROUP = `printf '[mukon]\\nkvm_access = "group"\\n' >/etc/mukon/config.d/zz-group.toml`;
/** A user of an earlier boot's pod, as useradd leaves it when the machine goes down. */
const STALE = { name: "kata-30000", id: 30000 * ID_BLOCK_SIZE + VMM_OFFSET };

let host: TestHost;
before(async () => {
  host = await startTestHost();
});
after(() => host?.down());

async function spoil(): Promise<void> {
  await host.output(["sed", "-i", KVM_RULE, "/usr/lib/udev/rules.d/50-udev-default.rules"]);
  await host.output(["udevadm", "control", "--reload"]);
  await host.output(["chown", "root:root", "/dev/kvm"]);
  await host.output(["chmod", "0600", "/dev/kvm"]);
  await host.output(["groupdel", "kvm"]);
  const id = String(STALE.id);
  await host.output(["groupadd", "--gid", id, STALE.name]);
  const account = ["--uid", id, "--gid", id, "--no-create-home", "--comment", "mukon /run/mukon"];
  await host.output(["useradd", ...account, "--shell", "/usr/sbin/nologin", STALE.name]);
}

test("a node of root's alone is enough where QEMU gets it as a descriptor, and stays as it is", async () => {
  await spoil();
  const { lines } = await check(host, "--fix");
  assert.equal(lines.get("kvm-node")?.status, "ok", JSON.stringify([...lines.values()]));
  assert.equal(lines.get("accelerator")?.message, "KVM runs a guest");
  const result = await host.run(HELLO);
  assert.equal(result.stdout, "hello\n", result.stderr);
  assert.doesNotMatch(result.stderr, /emulated|tcg/);
  assert.equal(await nodeFacts(host, "/dev/kvm"), "root:root 600 character special file");
});

test("by its group it is told, and no pod gets into the root group for it", async () => {
  await host.output(["sh", "-c", BY_GROUP]);
  const { code, lines } = await check(host);
  assert.equal(code, 1);
  assert.equal(lines.get("kvm-node")?.status, "failed");
  assert.match(lines.get("kvm-node")?.message ?? "", /root group/);
  assert.match(lines.get("accelerator")?.message ?? "", /mukon check --fix/);
});

test("mukon check --fix makes the group, sets the node, and KVM runs a guest", async () => {
  const { code, lines } = await check(host, "--fix");
  assert.equal(code, 0, JSON.stringify([...lines.values()]));
  assert.equal(lines.get("kvm-node")?.status, "fixed");
  assert.equal(lines.get("accelerator")?.message, "KVM runs a guest");
  assert.equal(await nodeFacts(host, "/dev/kvm"), "root:kvm 660 character special file");
  const { code: again, lines: then } = await check(host);
  assert.deepEqual([again, then.get("kvm-node")?.status], [0, "ok"]);
});

test("it lasts: after a restart the node is right, users of before it are gone, pods run", async () => {
  assert.match(await host.output(["getent", "passwd", STALE.name]), /mukon/);
  await host.reboot();
  // Commands are taken before all units have run; it ends with an error where one has failed.
  await host.run(["systemctl", "is-system-running", "--wait"]);
  assert.equal(await nodeFacts(host, "/dev/kvm"), "root:kvm 660 character special file");
  const unit = await host.output([
    "systemctl",
    "show",
    "mukon-gc.service",
    "-P",
    "Result",
    "-P",
    "ExecMainStatus",
  ]);
  assert.deepEqual(unit.trim().split("\n").sort(), ["0", "success"]);
  for (const kind of ["passwd", "group"]) {
    const found = await host.run(["grep", "-e", STALE.name, `/etc/${kind}`]);
    assert.equal(found.code, 1, `${kind}: ${found.stdout}`);
  }
  const result = await host.run(HELLO);
  assert.equal(result.stdout, "hello\n", result.stderr);
  assert.doesNotMatch(result.stderr, /emulated|tcg/);
});
