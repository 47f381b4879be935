// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { FILE_IS_DISK } from "../../../src/guest-protocol/oci/file-is-disk.ts";
import { parseOciSpec } from "../../../src/guest-protocol/oci-spec.ts";
import { numbersOf } from "../../../src/host/block-device.ts";
import { planDisks } from "../../../src/shim/task/disks.ts";

const directory = mkdtempSync(join(tmpdir(), "mukon-plan-disks-"));
const image = join(directory, "disk.img");
writeFileSync(image, "disk");
after(() => rmSync(directory, { recursive: true }));

function plan(parts: { mounts?: object[]; linux?: object }) {
  return planDisks(parseOciSpec({ ociVersion: "1.1.0", ...parts }));
}

/** A disk of this host's that has a node. */
function someDevice(): { major: number; minor: number; path: string } | undefined {
  for (const name of readdirSync("/sys/dev/block")) {
    const [major = 0, minor = 0] = name.split(":").map(Number);
    const uevent = readFileSync(`/sys/dev/block/${name}/uevent`, "utf8");
    const node = /^DEVNAME=(.+)$/m.exec(uevent)?.[1];
    if (node !== undefined) return { major, minor, path: `/dev/${node}` };
  }
  return undefined;
}

test("an image is a disk only where the mount says so", () => {
  const mount = { destination: "/dev/xvda", source: image, type: "bind" };
  const asFile = { ...mount, options: ["rbind", "ro"] };
  assert.deepEqual(plan({ mounts: [asFile] }).disks, []);
  assert.equal(plan({ mounts: [asFile] }).spec.mounts?.length, 1);
  const asDisk = plan({ mounts: [{ ...mount, options: ["bind", "ro", FILE_IS_DISK] }] });
  assert.deepEqual(asDisk.disks, [{ path: image, destination: "/dev/xvda", readOnly: true }]);
  assert.deepEqual(asDisk.spec.mounts, []);
  const [device] = asDisk.spec.linux?.devices ?? [];
  assert.deepEqual([device?.path, device?.type], ["/dev/xvda", "b"]);
});

test("file systems on disks are mounted; those that the guest does not know are refused", () => {
  const mount = { destination: "/data", source: image, options: ["rw"] };
  const { disks, spec } = plan({ mounts: [{ ...mount, type: "ext4" }] });
  assert.deepEqual(disks, [
    { path: image, destination: "/data", readOnly: false, fileSystem: "ext4" },
  ]);
  assert.equal(spec.mounts?.length, 1);
  assert.equal(plan({ mounts: [{ ...mount, type: "erofs" }] }).disks[0]?.readOnly, true);
  assert.deepEqual(plan({ mounts: [{ ...mount, type: "tmpfs" }] }).disks, []);
  const refused = [
    { ...mount, type: "xfs" },
    { ...mount, type: "ext4", source: directory },
    { ...mount, type: "ext4", source: "/nonexistent" },
  ];
  for (const one of refused) {
    assert.throws(() => plan({ mounts: [one] }), { code: "VOLUME_UNSUPPORTED", message: /\/data/ });
  }
});

test("a device must be named by a rule of its own: a wildcard gives no disk of the host's away", (t) => {
  const device = someDevice();
  if (device === undefined) return t.skip("this host has no block device");
  const { major, minor, path } = device;
  const devices = [{ path: "/dev/xvda", type: "b", major, minor }];
  const withRules = (...rules: object[]) =>
    plan({ linux: { devices, resources: { devices: rules } } });
  const denyAll = { allow: false, access: "rwm" };
  assert.deepEqual(withRules(denyAll).disks, []);
  assert.deepEqual(withRules({ allow: true, access: "rwm" }).disks, []);
  assert.deepEqual(withRules({ allow: true, type: "b", major, access: "rwm" }).disks, []);
  const reading = withRules(denyAll, { allow: true, type: "b", major, minor, access: "r" });
  assert.deepEqual(reading.disks, [{ path, destination: "/dev/xvda", readOnly: true }]);
});

test("a device that has gone is said to have", () => {
  const device = { path: "/dev/xvda", type: "b", major: 4095, minor: 1048575 };
  const rule = { allow: true, type: "b", major: 4095, minor: 1048575, access: "rw" };
  const linux = { devices: [device], resources: { devices: [rule] } };
  assert.throws(() => plan({ linux }), { code: "DISK_INVALID", message: /4095:1048575/ });
});

test("device numbers beyond eight bits are read as glibc packs them", () => {
  assert.deepEqual(numbersOf(0x0802), { major: 8, minor: 2 });
  assert.deepEqual(numbersOf(0x10fd03), { major: 253, minor: 0x103 });
});
