// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { DiskSlots } from "../../../src/vmm/qemu/disk-slots.ts";
import { Disks } from "../../../src/vmm/qemu/disks.ts";
import type { QmpClient } from "../../../src/vmm/qemu/qmp/client.ts";
import type { QmpEvent } from "../../../src/vmm/qemu/qmp/messages.ts";
import { ScsiBus, scsiSource } from "../../../src/vmm/qemu/scsi.ts";

const directory = mkdtempSync(join(tmpdir(), "mukon-disks-"));
const path = join(directory, "disk");
writeFileSync(path, "disk");
const readOnly = openSync(path, constants.O_RDONLY);
const writable = openSync(path, constants.O_RDWR);
after(() => {
  closeSync(readOnly);
  closeSync(writable);
  rmSync(directory, { recursive: true });
});

/** Remembers the commands; fails the one named `failing`; unplugs when asked to. */
function fakeQmp(failing = "") {
  const commands: { name: string; parameters: Record<string, unknown> }[] = [];
  const listeners = new Set<(event: QmpEvent) => void>();
  const qmp: Pick<QmpClient, "execute" | "addDescriptor" | "onEvent"> = {
    execute: async (name, parameters = {}) => {
      commands.push({ name, parameters });
      if (name === failing) throw new Error(`${name} fails`);
      if (name === "device_del") {
        for (const listener of listeners) {
          listener({ name: "DEVICE_DELETED", data: { device: parameters.id, path: "/x" } });
        }
      }
      return {};
    },
    addDescriptor: async (setId, descriptor) => {
      commands.push({ name: "add-fd", parameters: { setId, descriptor } });
    },
    onEvent: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return { commands, listeners, qmp: qmp as QmpClient };
}

test("a disk goes in by descriptor, and out again without a trace", async () => {
  const { qmp, commands, listeners } = fakeQmp();
  const disks = new Disks(qmp, new DiskSlots());
  const { source } = await disks.attach({
    diskId: "layer0",
    descriptor: readOnly,
    readOnly: true,
  });
  assert.equal(source, "05/01");
  const node = commands.find(({ name }) => name === "blockdev-add")?.parameters;
  assert.equal(node?.["read-only"], true);
  await disks.detach("layer0");
  const names = commands.map(({ name }) => name);
  assert.deepEqual(names.slice(-3), ["device_del", "blockdev-del", "remove-fd"]);
  assert.equal(listeners.size, 0);
  await assert.rejects(disks.detach("layer0"), { code: "VMM_DISK_UNKNOWN" });
});

test("the bay has room for one disk, without a device that comes or goes; then nothing is in it", async () => {
  const { qmp, commands } = fakeQmp();
  const disks = new Disks(qmp, new DiskSlots());
  const first = { diskId: "first", descriptor: readOnly, readOnly: true };
  assert.deepEqual(await disks.attachToBay(first), { source: "07" });
  assert.equal(disks.inBay, "first");
  const inTheBay = { path: "/machine/peripheral/bay", property: "drive" };
  assert.deepEqual(commands.at(-1), {
    name: "qom-set",
    parameters: { ...inTheBay, value: "n-first" },
  });
  await assert.rejects(disks.attachToBay({ ...first, diskId: "second" }), {
    code: "VMM_DISK_BUSY",
  });
  await assert.rejects(disks.attach(first), { code: "VMM_DISK_BUSY" });
  await disks.detach("first");
  assert.deepEqual(
    commands.slice(-3).map(({ name }) => name),
    ["qom-set", "blockdev-del", "remove-fd"],
  );
  assert.deepEqual(commands.at(-3)?.parameters, { ...inTheBay, value: "no-disk" });
  assert.equal(disks.inBay, undefined);
  assert.ok(!commands.some(({ name }) => name.startsWith("device_")));
});

test("what QEMU does not take into the bay leaves nothing behind", async () => {
  for (const failing of ["blockdev-add", "qom-set"]) {
    const { qmp, commands } = fakeQmp(failing);
    const disks = new Disks(qmp, new DiskSlots());
    const first = { diskId: "first", descriptor: readOnly, readOnly: true };
    await assert.rejects(disks.attachToBay(first), new RegExp(`${failing} fails`));
    assert.equal(disks.inBay, undefined);
    assert.equal(commands.at(-1)?.name, "remove-fd");
  }
  const disks = new Disks(fakeQmp().qmp, new DiskSlots());
  const tooMuch = { diskId: "first", descriptor: writable, readOnly: true };
  await assert.rejects(disks.attachToBay(tooMuch), { code: "VMM_DISK_ACCESS" });
});

test("SCSI disks are behind one controller, each at the next address, which is not used again soon", async () => {
  const { qmp, commands } = fakeQmp();
  const disks = new Disks(qmp, new DiskSlots());
  const attach = (diskId: string, driver: "virtio-scsi" | "virtio-blk" = "virtio-scsi") =>
    disks.attach({ diskId, descriptor: readOnly, readOnly: true, driver });
  const both = await Promise.all([attach("a"), attach("b")]);
  assert.deepEqual(both, [{ source: "0:0" }, { source: "0:1" }]);
  await disks.detach("b");
  assert.deepEqual(await attach("c"), { source: "0:2" });
  assert.deepEqual(await attach("d", "virtio-blk"), { source: "05/02" });
  const added = commands.filter(({ name }) => name === "device_add").map((one) => one.parameters);
  assert.deepEqual(
    added.map(({ driver, bus, lun }) => [driver, bus, lun]),
    [
      ["virtio-scsi-pci-non-transitional", "bridge0", undefined],
      ["scsi-hd", "scsi.0", 0],
      ["scsi-hd", "scsi.0", 1],
      ["scsi-hd", "scsi.0", 2],
      ["virtio-blk-pci-non-transitional", "bridge0", undefined],
    ],
  );
});

test("SCSI addresses are Kata's: 256 units on a target, and a controller that fails is tried again", async () => {
  const { qmp } = fakeQmp();
  const bus = new ScsiBus(qmp, new DiskSlots());
  const first: string[] = [];
  for (let count = 0; count < 258; count += 1) first.push(scsiSource(await bus.take()));
  assert.deepEqual([first[0], first[255], first[256], first[257]], ["0:0", "0:255", "1:0", "1:1"]);
  const slots = new DiskSlots();
  const failing = new ScsiBus(fakeQmp("device_add").qmp, slots);
  await assert.rejects(failing.take(), /device_add fails/);
  await assert.rejects(failing.take(), /device_add fails/);
  let free = 0;
  assert.throws(() => {
    for (;;) free = slots.take() === undefined ? free : free + 1;
  });
  assert.equal(free, 62, "a slot was lost");
});

test("how a disk is read and written is said to QEMU; so is that it has grown", async () => {
  const { qmp, commands } = fakeQmp();
  const disks = new Disks(qmp, new DiskSlots());
  const nodeOf = async (options: object): Promise<unknown> => {
    commands.length = 0;
    await disks.attach({ diskId: "a", descriptor: writable, readOnly: false, ...options });
    await disks.detach("a");
    const node = commands.find(({ name }) => name === "blockdev-add")?.parameters;
    return [(node?.file as { aio: string } | undefined)?.aio, node?.cache];
  };
  const through = { direct: false, "no-flush": false };
  assert.deepEqual(await nodeOf({}), ["threads", through]);
  const cache = { direct: false, noFlush: true };
  assert.deepEqual(await nodeOf({ aio: "io_uring", cache }), [
    "io_uring",
    { direct: false, "no-flush": true },
  ]);
  // The kernel has no other asynchronous requests of this kind.
  assert.deepEqual(await nodeOf({ aio: "native" }), ["native", { ...through, direct: true }]);
  await disks.attach({ diskId: "a", descriptor: writable, readOnly: false });
  await disks.resize("a", 4096);
  const last = commands.at(-1);
  assert.deepEqual(last, { name: "block_resize", parameters: { "node-name": "n-a", size: 4096 } });
  await assert.rejects(disks.resize("b", 4096), { code: "VMM_DISK_UNKNOWN" });
});

test("a disk that another VM has locked is told from other failures", async () => {
  const { qmp } = fakeQmp();
  const disks = new Disks(
    Object.assign(qmp, {
      execute: async (name: string) => {
        if (name === "blockdev-add") throw new Error('Failed to get "write" lock');
        return {};
      },
    }),
    new DiskSlots(),
  );
  const disk = { diskId: "a", descriptor: writable, readOnly: false };
  await assert.rejects(disks.attach(disk), { code: "VMM_DISK_LOCKED" });
});

test("a failed step takes back those before it, and the slot", async () => {
  const { qmp, commands } = fakeQmp("device_add");
  const disks = new Disks(qmp, new DiskSlots());
  for (let round = 0; round < 70; round += 1) {
    const disk = { diskId: "layer0", descriptor: readOnly, readOnly: true };
    await assert.rejects(disks.attach(disk), /device_add fails/);
  }
  const names = commands.map(({ name }) => name);
  assert.deepEqual(names.slice(-3), ["device_add", "blockdev-del", "remove-fd"]);
});

test("a descriptor that may write is not handed over for a read-only disk, nor the reverse", async () => {
  const { qmp, commands } = fakeQmp();
  const disks = new Disks(qmp, new DiskSlots());
  const wrong = [
    { diskId: "a", descriptor: writable, readOnly: true },
    { diskId: "b", descriptor: readOnly, readOnly: false },
  ];
  for (const disk of wrong) {
    await assert.rejects(disks.attach(disk), { code: "VMM_DISK_ACCESS" });
  }
  assert.deepEqual(commands, []);
});

test("two disks of one name are refused", async () => {
  const disks = new Disks(fakeQmp().qmp, new DiskSlots());
  const disk = { diskId: "a", descriptor: readOnly, readOnly: true };
  await disks.attach(disk);
  await assert.rejects(disks.attach(disk), { code: "VMM_DISK_BUSY" });
});
