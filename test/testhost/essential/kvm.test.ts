// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestHost } from "../host.ts";
import { ORDINARY_USER } from "../names.ts";
import { check, nodeFacts, startTestHost } from "../support/session.ts";

const LANDLOCK_TIMEOUT_MS = 5 * 60_000;

let host: TestHost;
before(async () => {
  host = await startTestHost();
});
after(() => host?.down());

test("the host is what it claims to be", async () => {
  const facts: [string, string[], RegExp][] = [
    ["release", ["cat", "/etc/os-release"], /VERSION_ID="13"/],
    ["init", ["cat", "/proc/1/comm"], /^systemd$/m],
    ["cgroup", ["stat", "--file-system", "--format", "%T", "/sys/fs/cgroup"], /^cgroup2fs$/m],
    ["QEMU", ["qemu-system-x86_64", "--version"], /version 10\./],
    ["virtiofsd", ["/usr/libexec/virtiofsd", "--version"], /^virtiofsd 1\./m],
    ["containerd", ["containerd", "--version"], /\s1\.7\./],
    ["util-linux", ["unshare", "--version"], /2\.41/],
    ["names", ["cat", "/etc/nsswitch.conf"], /^passwd: files systemd$/m],
    ["user", ["id", ORDINARY_USER], /\(kvm\)/],
    ["subordinate ids", ["cat", "/etc/subuid"], new RegExp(`^${ORDINARY_USER}:100000:65536$`, "m")],
  ];
  for (const [what, argv, pattern] of facts) assert.match(await host.output(argv), pattern, what);
  for (const name of ["kvm", "vhost-net", "vhost-vsock"]) {
    assert.equal(
      await nodeFacts(host, `/dev/${name}`),
      "root:kvm 660 character special file",
      name,
    );
  }
});

test("output, errors and the exit code of a command come back, word for word", async () => {
  const script = 'printf "%s|" "$@"; echo oops >&2; exit 7';
  const words = ["a b", "it's", "$(id)", "", "ü\n"];
  const result = await host.run(["sh", "-c", script, "sh", ...words]);
  assert.equal(result.stdout, words.map((word) => `${word}|`).join(""));
  assert.match(result.stderr, /^oops$/m);
  assert.equal(result.code, 7);
  const user = await host.output(["id", "-un"], { user: ORDINARY_USER });
  assert.equal(user.trim(), ORDINARY_USER);
});

test("mukon finds nothing lacking, and KVM runs a guest", async () => {
  const { code, lines } = await check(host);
  assert.deepEqual(
    [...lines.values()].filter(({ status }) => status !== "ok"),
    [],
  );
  assert.equal(code, 0);
  assert.equal(lines.get("accelerator")?.message, "KVM runs a guest");
  assert.match(lines.get("user-names")?.message ?? "", /systemd user records/);
  assert.equal(lines.get("cgroup")?.message, "version 2");
  assert.match(lines.get("landlock")?.message ?? "", /^confines/);
});

test("its setpriv confines a jail's program by Landlock", async () => {
  const argv = ["node", "scripts/run-tests.mjs", "test/integration/host/landlock.test.ts"];
  const { code, stdout, stderr } = await host.run(argv, { timeoutMs: LANDLOCK_TIMEOUT_MS });
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, /^ℹ skipped 0$/m);
  assert.match(stdout, /^ℹ pass 3$/m);
});

test("a pod runs on KVM, and nobody is told that it is emulated", async () => {
  const argv = ["mukon", "run", "--detach", "--name", "pod", "busybox", "sleep", "1000"];
  const { code, stderr } = await host.run(argv);
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /emulated|tcg/);
  const [{ sandbox }] = JSON.parse(await host.output(["mukon", "inspect", "pod"]));
  assert.equal(sandbox.accelerator, "kvm");
});

test("its promises are kept on this host too, as the kernel says", async () => {
  const reports = JSON.parse(await host.output(["mukon", "audit", "--json", "pod"]));
  assert.equal(reports.length, 1);
  assert.equal(reports[0].isKept, true, JSON.stringify(reports[0], null, 2));
});

test("its VMM has KVM as a descriptor: it is in no group, and its jail has no such node", async () => {
  const [{ sandbox }] = JSON.parse(await host.output(["mukon", "inspect", "pod"]));
  assert.equal(sandbox.kvmAccess, "descriptor");
  const { pid } = sandbox.processes.vmm;
  assert.match(await host.output(["cat", `/proc/${pid}/status`]), /^Groups:\s*$/m);
  assert.equal(await host.output(["ls", `/proc/${pid}/root/dev`]), "null\nurandom\n");
  assert.match(await host.output(["ls", "-l", `/proc/${pid}/fd`]), / \/dev\/kvm$/m);
});

test("its user has a name by nss-systemd, without a line in /etc/passwd", async () => {
  const [{ sandbox }] = JSON.parse(await host.output(["mukon", "inspect", "pod"]));
  const { name, uid } = sandbox.identity.vmm;
  assert.match(await host.output(["getent", "passwd", name]), new RegExp(`^${name}:[^:]*:${uid}:`));
  assert.match(await host.output(["getent", "passwd", String(uid)]), new RegExp(`^${name}:`));
  assert.notEqual((await host.run(["grep", "-e", name, "/etc/passwd", "/etc/group"])).code, 0);
  const processes = await host.output(["ps", "-u", name, "-o", "user:20=,comm="]);
  assert.match(processes, new RegExp(`^${name}\\s+qemu-system`, "m"));
});

test("a pod that is removed leaves no name, process or directory", async () => {
  const [{ sandbox }] = JSON.parse(await host.output(["mukon", "inspect", "pod"]));
  const { name, uid } = sandbox.identity.vmm;
  await host.output(["mukon", "rm", "--force", "pod"]);
  assert.notEqual((await host.run(["getent", "passwd", name])).code, 0);
  assert.notEqual((await host.run(["ps", "-u", String(uid)])).code, 0);
  assert.notEqual((await host.run(["test", "-e", `/run/user/${uid}`])).code, 0);
});

test("a pod on KVM can be a clone, with promises, randomness and a clock of its own", async () => {
  const template = (await host.output(["mukon", "guest", "template", "build"])).trim();
  const facts = "cat /proc/sys/kernel/random/uuid; date +%s; sleep 1000";
  for (const name of ["one", "two"]) {
    const argv = ["mukon", "run", "--detach", "--name", name, "busybox", "sh", "-c", facts];
    await host.output(argv);
  }
  const inspected = JSON.parse(await host.output(["mukon", "inspect", "one", "two"]));
  for (const { sandbox } of inspected) {
    assert.deepEqual([sandbox.accelerator, sandbox.template], ["kvm", template]);
  }
  const said: string[][] = [];
  for (const name of ["one", "two"]) {
    said.push((await host.output(["mukon", "logs", name])).trim().split("\n"));
  }
  const [[firstId, firstTime] = [], [secondId, secondTime] = []] = said;
  assert.match(firstId ?? "", /^[0-9a-f-]{36}$/);
  assert.notEqual(firstId, secondId);
  assert.ok(Number(firstTime) < Number(secondTime), "a clock began again where its template was");
  const now = Number(await host.output(["date", "+%s"]));
  assert.ok(now - Number(firstTime) < 15 * 60, "a clock is behind its host's");
  const reports = JSON.parse(await host.output(["mukon", "audit", "--json"]));
  assert.equal(reports.length, 2);
  for (const report of reports) assert.equal(report.isKept, true, JSON.stringify(report));
  await host.output(["mukon", "rm", "--force", "one", "two"]);
});
