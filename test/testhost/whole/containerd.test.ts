// SPDX-License-Identifier: Apache-2.0
// Debian 13's containerd, as systemd runs it, has pods on KVM in cgroups of systemd's.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestHost } from "../host.ts";
import { startTestHost } from "../support/session.ts";

const LIMIT = 1536 * 2 ** 20;
const SLICE = "/sys/fs/cgroup/pods.slice/pods-one.slice";
const SCOPE = "/pods.slice/pods-one.slice/cri-containerd-one.scope";
/** A pod's slice as kubelet's systemd driver makes one, and a root file system. */
const PREPARE = `set -e
printf '[Slice]\\nMemoryMax=${LIMIT}\\nTasksMax=512\\n' >/run/systemd/system/pods-one.slice
systemctl daemon-reload
systemctl start pods-one.slice containerd.service
mkdir -p /srv/rootfs /run/busybox
mount -t erofs -o loop,ro /var/lib/mukon/guest/current/busybox.erofs /run/busybox
cp -a /run/busybox/. /srv/rootfs/
umount /run/busybox`;
const SHELL = "trap 'echo told; exit 7' TERM; echo begun; while :; do sleep 0.1; done";

let host: TestHost;
before(async () => {
  host = await startTestHost();
  await sh(PREPARE);
});
after(() => host?.down());

async function sh(script: string, ...words: string[]): Promise<string> {
  return (await host.output(["sh", "-c", script, "sh", ...words])).trim();
}

async function vmm(): Promise<number> {
  const [report] = JSON.parse(await host.output(["mukon", "audit", "--json"]));
  return report.processes.find(({ role }: { role: string }) => role === "vmm").pid;
}

test("ctr runs a pod on KVM, its files shared, its cgroup in a slice of systemd's", async () => {
  const flags = [
    "--runtime",
    "io.containerd.mukon.v2",
    "--cgroup",
    "pods-one.slice:cri-containerd:one",
  ];
  const log = ["--detach", "--log-uri", "file:///run/one.log"];
  const { code, stderr } = await host.run([
    ...["ctr", "run", ...flags, ...log, "--rootfs", "/srv/rootfs", "one", "/bin/sh", "-c", SHELL],
  ]);
  assert.equal(code, 0, stderr);
  const exec = ["ctr", "task", "exec", "--exec-id", "e1", "one", "/bin/sh", "-c"];
  const said = await host.run([...exec, "echo hello; echo from the pod >/written; exit 5"]);
  assert.deepEqual([said.code, said.stdout], [5, "hello\n"], said.stderr);
  assert.equal(await sh("cat /srv/rootfs/written"), "from the pod");
});

test("VMM and keeper are there, within the slice's limits, also after systemd has read its units anew", async () => {
  const pid = await vmm();
  const check = async (): Promise<void> => {
    assert.equal(await sh(`cat /proc/${pid}/cgroup`), `0::${SCOPE}`);
    assert.equal(await sh(`cat ${SLICE}/memory.max ${SLICE}/pids.max`), `${LIMIT}\n512`);
    assert.ok(Number(await sh(`cat ${SLICE}/memory.current`)) > 32 * 2 ** 20);
    const open = `echo $$ >/sys/fs/cgroup${SCOPE}/cgroup.procs; (: <"$1") 2>/dev/null && echo opened; true`;
    assert.deepEqual([await sh(open, "/dev/null"), await sh(open, "/dev/zero")], ["opened", ""]);
  };
  await check();
  await sh("systemctl daemon-reload; systemctl restart containerd.service");
  await check();
});

test("every promise is kept", async () => {
  const reports = JSON.parse(await host.output(["mukon", "audit", "--json"]));
  assert.deepEqual(
    reports.map(({ accelerator, isKept }: Record<string, unknown>) => [accelerator, isKept]),
    [["kvm", true]],
    JSON.stringify(reports, null, 2),
  );
});

test("a signal reaches it, its exit code comes back, and its cgroup goes; the slice stays systemd's", async () => {
  await sh("ctr task kill --signal SIGTERM one");
  await sh("until ctr task list | grep -q '^one .*STOPPED'; do sleep 0.2; done");
  const removed = await host.run(["ctr", "task", "rm", "one"]);
  assert.match(removed.stderr, /exit code 7\b/);
  await sh("ctr container rm one");
  assert.equal(await sh("cat /run/one.log"), "begun\ntold");
  assert.equal(await sh(`ls -d ${SLICE}/*/`).catch(() => ""), "");
  assert.equal(await sh("systemctl is-active pods-one.slice"), "active");
  await sh("systemctl stop pods-one.slice");
  assert.equal(
    await sh(`ls -d ${SLICE} 2>&1 || true`),
    `ls: cannot access '${SLICE}': No such file or directory`,
  );
});
