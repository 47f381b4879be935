// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { filesOf, modulesFor } from "../../../guest/agent/native/kernel-modules.ts";
import { isScsiAddress, scsiBlockName } from "../../../guest/agent/storage/scsi.ts";

test("a SCSI address is a target and a unit, and no PCI path", () => {
  for (const address of ["0:0", "1:255", "255:0"]) assert.ok(isScsiAddress(address), address);
  for (const other of ["05/01", "0:0:0", "0:", ":1", "/dev/sda", "0:1x", "-1:0"]) {
    assert.ok(!isScsiAddress(other), other);
  }
});

test("the disk at an address is found on the host that has it, whatever its number is", (t) => {
  const devices = mkdtempSync(join(tmpdir(), "mukon-scsi-"));
  t.after(() => rmSync(devices, { recursive: true }));
  for (const name of ["host0", "target0:0:0", "0:0:0:1/block/sda", "2:0:0:11/block/sdb"]) {
    mkdirSync(join(devices, name), { recursive: true });
  }
  mkdirSync(join(devices, "2:0:1:1"));
  assert.equal(scsiBlockName("0:1", devices), "sda");
  assert.equal(scsiBlockName("0:11", devices), "sdb");
  // Known to the bus, and not yet to the driver of disks.
  assert.equal(scsiBlockName("1:1", devices), undefined);
  assert.equal(scsiBlockName("0:0", devices), undefined);
});

test("the module for a device is found by what the device says of itself", () => {
  const table =
    "alias pci:v00008086d* ice\nalias pci:v*d*sv*sd*bc01sc08i02* nvme\nalias virtio:d00000008v* virtio_scsi\n";
  assert.deepEqual(modulesFor("pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02", table), [
    "nvme",
  ]);
  assert.deepEqual(modulesFor("virtio:d00000008v00001AF4", table), ["virtio_scsi"]);
  assert.deepEqual(modulesFor("usb:v1", table), []);
});

test("a module is loaded after those that it needs", () => {
  const table =
    "scsi_common.ko:\nsd_mod.ko: scsi_mod.ko scsi_common.ko\nvirtio_scsi.ko: scsi_mod.ko\n";
  assert.deepEqual(filesOf("sd_mod", table), ["scsi_common.ko", "scsi_mod.ko", "sd_mod.ko"]);
  assert.deepEqual(filesOf("scsi_common", table), ["scsi_common.ko"]);
  assert.deepEqual(filesOf("built_in", table), []);
});
