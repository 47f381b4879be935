// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { statusOf } from "../../../guest/agent/container/crun.ts";
import { checkIdentifier } from "../../../guest/agent/container/identifier.ts";
import { Status } from "../../../guest/agent/errors.ts";
import { parseMountOptions } from "../../../guest/agent/native/mount.ts";
import { findPort } from "../../../guest/agent/port/find.ts";
import { sandboxFileMounts, writeSandboxFiles } from "../../../guest/agent/sandbox/files.ts";
import { sysctlPath } from "../../../guest/agent/sandbox/kernel-settings.ts";
import { checkGuestPath } from "../../../guest/agent/storage/paths.ts";
import { blockNameOf, findPciDevice } from "../../../guest/agent/storage/pci.ts";

const work = mkdtempSync(join(tmpdir(), "mukon-agent-"));
after(() => rmSync(work, { recursive: true, force: true }));

test("identifiers cannot be paths or options", () => {
  for (const id of ["a", "c1_x.y-z", "A".repeat(128), "1"])
    assert.equal(checkIdentifier(id, "id"), id);
  for (const id of ["", ".", "..", "../a", "a/b", "-a", ".a", "a b", "a\0", "a".repeat(129), "é"]) {
    assert.throws(() => checkIdentifier(id, "id"), /is no identifier/, JSON.stringify(id));
  }
});

test("mount points stay below the directories that are the host's to use", () => {
  const path = "/run/kata-containers/c1/rootfs";
  assert.equal(checkGuestPath(path, "mount point"), path);
  assert.equal(checkGuestPath(`${path}/`, "mount point"), path);
  for (const bad of [
    ...["", "/", "/etc", "/run", "/run/kata-containers", "/run/kata-containersX/y"],
    ...["/run/kata-containers/../../etc", "run/kata-containers/x", "/run/kata-containers/./x"],
    ...["/run/kata-containers//x", "/run/kata-containers/a\0b", "/proc/self/root"],
  ]) {
    assert.throws(() => checkGuestPath(bad, "mount point"), /is not below/, JSON.stringify(bad));
  }
});

test("sysctl names cannot leave /proc/sys", () => {
  assert.equal(sysctlPath("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
  assert.equal(sysctlPath("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
  for (const bad of ["", "a..b", "../x", "a/../b", "/etc/passwd", "a b", "a\nb"]) {
    assert.throws(() => sysctlPath(bad), /is no sysctl/, JSON.stringify(bad));
  }
});

test("options of mount(8) become flags and data", () => {
  const parsed = parseMountOptions(["ro", "nosuid", "size=64k", "mode=1777", "constructor"]);
  assert.deepEqual(parsed, { flags: 3, data: "size=64k,mode=1777,constructor" });
  assert.equal(parseMountOptions(["ro", "rw"]).flags, 0);
  assert.equal(parseMountOptions(["rbind"]).flags, 4096 | 16384);
});

test("a disk is found behind its port once its driver made it", () => {
  const bus = join(work, "pci0000:00");
  const device = join(bus, "0000:00:0a.0", "0000:02:00.0");
  mkdirSync(join(bus, "0000:00:0b.0", "0000:03:00.0"), { recursive: true });
  assert.equal(findPciDevice("0a/00", bus), undefined);
  mkdirSync(device, { recursive: true });
  assert.equal(findPciDevice("0a/00", bus), device);
  assert.equal(blockNameOf(device), undefined);
  mkdirSync(join(device, "virtio3", "block", "vdc"), { recursive: true });
  assert.equal(blockNameOf(device), "vdc");
  for (const bad of ["", "../0a", "0a/", "0A/00", "0a/00/../..", "100"]) {
    assert.throws(() => findPciDevice(bad, bus), /is no PCI path/, bad);
  }
});

test("the port to the host is found by its name", () => {
  const ports = join(work, "virtio-ports");
  for (const [port, name] of [
    ["vport1p1", "other"],
    ["vport1p2", "mukon.agent"],
  ]) {
    mkdirSync(join(ports, port ?? ""), { recursive: true });
    writeFileSync(join(ports, port ?? "", "name"), `${name}\n`);
  }
  assert.equal(findPort("mukon.agent", ports), "/dev/vport1p2");
  assert.equal(findPort("mukon", ports), undefined);
  assert.equal(findPort("mukon.agent", join(work, "none")), undefined);
});

test("containers see the pod's resolv.conf, hostname and hosts unless they bring their own", async () => {
  const sandbox = join(work, "sandbox");
  const root = join(work, "root");
  mkdirSync(root);
  await writeSandboxFiles("pod", ["nameserver 10.0.0.1", "search x"], sandbox);
  const all = await sandboxFileMounts(root, [], sandbox);
  assert.deepEqual(
    all.map((mount) => mount.destination),
    ["/etc/resolv.conf", "/etc/hostname", "/etc/hosts"],
  );
  const own = { destination: "/etc/hosts", source: "/x", type: "bind", options: [] };
  assert.equal((await sandboxFileMounts(root, [own], sandbox)).length, 2);
});

test("crun's reasons become codes that callers can act upon", () => {
  assert.equal(
    statusOf("executable file `x` not found: No such file or directory"),
    Status.notFound,
  );
  assert.equal(statusOf("open executable: Permission denied"), Status.permissionDenied);
  assert.equal(
    statusOf("the path `/x` exists but it is not executable: Operation not permitted"),
    Status.permissionDenied,
  );
  assert.equal(statusOf("something else"), Status.internal);
});
