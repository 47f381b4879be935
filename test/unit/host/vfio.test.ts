// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { findVfioGroup } from "../../../src/host/vfio/group.ts";

const sys = mkdtempSync(join(tmpdir(), "mukon-vfio-"));
after(() => rmSync(sys, { recursive: true }));

function addGroup(name: string, numbers: string, devices: Record<string, [string, string]>): void {
  mkdirSync(join(sys, "class/vfio", name), { recursive: true });
  writeFileSync(join(sys, "class/vfio", name, "dev"), `${numbers}\n`);
  for (const [address, [driver, deviceClass]] of Object.entries(devices)) {
    mkdirSync(join(sys, "kernel/iommu_groups", name, "devices", address), { recursive: true });
    const device = join(sys, "bus/pci/devices", address);
    mkdirSync(device, { recursive: true });
    writeFileSync(join(device, "class"), `${deviceClass}\n`);
    if (driver === "") continue;
    mkdirSync(join(sys, "bus/pci/drivers", driver), { recursive: true });
    symlinkSync(`../../drivers/${driver}`, join(device, "driver"));
  }
}

addGroup("7", "244:0", {
  "0000:01:00.1": ["vfio-pci", "0x040300"],
  "0000:01:00.0": ["vfio-pci", "0x030000"],
  "0000:00:1c.0": ["pcieport", "0x060400"],
  "0000:01:00.2": ["", "0x0c0330"],
});
addGroup("8", "244:1", {
  "0000:02:00.0": ["vfio-pci", "0x010802"],
  "0000:02:00.1": ["e1000e", "0x020000"],
});

test("a group is found by its node's number, with the devices that vfio-pci has", () => {
  assert.deepEqual(findVfioGroup({ major: 244, minor: 0 }, sys), {
    number: 7,
    node: { major: 244, minor: 0 },
    addresses: ["0000:01:00.0", "0000:01:00.1"],
  });
});

test("a group of which the host uses a device is refused, and the device is named", () => {
  assert.throws(() => findVfioGroup({ major: 244, minor: 1 }, sys), {
    code: "VFIO_GROUP_UNVIABLE",
    message: /0000:02:00\.1.*e1000e/,
  });
});

test("a number that is no group's is refused, as is that of all of them together", () => {
  mkdirSync(join(sys, "class/vfio/vfio"));
  writeFileSync(join(sys, "class/vfio/vfio/dev"), "10:196\n");
  for (const node of [
    { major: 244, minor: 9 },
    { major: 10, minor: 196 },
  ]) {
    assert.throws(() => findVfioGroup(node, sys), { code: "VFIO_GROUP_MISSING" });
  }
  assert.throws(() => findVfioGroup({ major: 1, minor: 3 }, join(sys, "no")), {
    code: "VFIO_GROUP_MISSING",
  });
});
