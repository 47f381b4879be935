// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { DiskSlots } from "../../../src/vmm/qemu/disk-slots.ts";
import { HostDevices } from "../../../src/vmm/qemu/host-devices.ts";
import type { QmpEvent } from "../../../src/vmm/qemu/qmp/messages.ts";

const ADDRESS = "0000:01:00.0";

function fakeQmp(refusal?: string) {
  const commands: { name: string; parameters: Record<string, unknown> }[] = [];
  const listeners = new Set<(event: QmpEvent) => void>();
  return {
    commands,
    execute: async (name: string, parameters: Record<string, unknown> = {}) => {
      commands.push({ name, parameters });
      if (refusal !== undefined) throw new MukonError("QMP_COMMAND_FAILED", refusal);
      for (const listener of name === "device_del" ? listeners : []) {
        listener({ name: "DEVICE_DELETED", data: { device: parameters.id, path: "/x" } });
      }
      return {};
    },
    onEvent: (listener: (event: QmpEvent) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

test("a device of the host's goes in by what the jail has of it, and out again", async () => {
  const qmp = fakeQmp();
  const devices = new HostDevices(qmp, new DiskSlots());
  assert.deepEqual(await devices.attach(ADDRESS), { source: "05/01" });
  assert.deepEqual(qmp.commands, [
    {
      name: "device_add",
      parameters: {
        ...{ driver: "vfio-pci", id: "host-0000-01-00-0", bus: "bridge0", addr: "0x1" },
        sysfsdev: `/dev/vfio/${ADDRESS}`,
      },
    },
  ]);
  await devices.detach(ADDRESS);
  assert.deepEqual(qmp.commands.at(-1), {
    name: "device_del",
    parameters: { id: "host-0000-01-00-0" },
  });
  // What is not there is gone already.
  await devices.detach(ADDRESS);
  assert.equal(qmp.commands.length, 2);
});

test("a device that another VM has is told from other refusals, and the place is given back", async () => {
  const slots = new DiskSlots();
  const busy = "vfio 0000:01:00.0: Could not open '/dev/vfio/7': Device or resource busy";
  await assert.rejects(new HostDevices(fakeQmp(busy), slots).attach(ADDRESS), {
    code: "VFIO_DEVICE_BUSY",
    message: new RegExp(ADDRESS),
  });
  const other = "vfio_container_dma_map = -12 (Cannot allocate memory)";
  await assert.rejects(new HostDevices(fakeQmp(other), slots).attach(ADDRESS), {
    code: "VFIO_REFUSED",
    message: /dma_map/,
  });
  let free = 0;
  assert.throws(() => {
    for (;;) free = slots.take() === undefined ? free : free + 1;
  });
  assert.equal(free, 62);
});
