// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { plugMemory } from "../../../src/vmm/qemu/extra-memory.ts";
import type { QmpEvent } from "../../../src/vmm/qemu/qmp/messages.ts";

/** A QEMU that says `answer` when the device is there. */
function machine(
  answer: QmpEvent | undefined,
  { broken, devices = [] }: { broken?: string; devices?: unknown } = {},
) {
  const commands: string[] = [];
  const plugged: { addr?: number }[] = [];
  const listeners = new Set<(event: QmpEvent) => void>();
  return {
    commands,
    plugged,
    listeners,
    execute: async (command: string, parameters: object = {}): Promise<unknown> => {
      commands.push(command);
      if (command === "query-memory-devices") return devices;
      if (command === "device_add") plugged.push(parameters);
      if (command === broken) throw new MukonError("QMP_COMMAND_FAILED", "no slot is free");
      const isTold = command === "device_add" && answer !== undefined;
      if (isTold) for (const listener of listeners) listener(answer);
      return {};
    },
    onEvent: (listener: (event: QmpEvent) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function ost(device: string, status: unknown): QmpEvent {
  return { name: "ACPI_DEVICE_OST", data: { info: { device, status, slot: "0", source: 1 } } };
}

const REFUSED = { code: "VMM_MEMORY_REFUSED" };

test("memory is there when the guest's kernel has said so", async () => {
  const qemu = machine(ost("extra-memory", 0));
  await plugMemory(qemu, { mib: 128, timeoutMs: 1000 });
  assert.deepEqual(qemu.commands, ["object-add", "query-memory-devices", "device_add"]);
  assert.deepEqual(
    qemu.plugged.map(({ addr }) => addr),
    [undefined],
  );
  assert.equal(qemu.listeners.size, 0, "somebody still listens");
});

test("a guest that refuses, or does not answer, or answers for another device, is an error", async () => {
  for (const answer of [
    ost("extra-memory", 1),
    undefined,
    ost("other", 0),
    ost("extra-memory", "0"),
  ]) {
    const qemu = machine(answer);
    await assert.rejects(plugMemory(qemu, { mib: 128, timeoutMs: 20 }), REFUSED);
    assert.equal(qemu.listeners.size, 0, "somebody still listens");
  }
});

test("what QEMU refuses is an error that says why", async () => {
  for (const command of ["object-add", "device_add"]) {
    const plugging = plugMemory(machine(undefined, { broken: command }), {
      mib: 128,
      timeoutMs: 20,
    });
    await assert.rejects(plugging, { ...REFUSED, message: /no slot is free/ });
  }
});

test("memory begins at a block of its own, behind what there is", async () => {
  const image = { type: "virtio-pmem", data: { memaddr: 2 ** 32, size: 100 * 2 ** 20 } };
  const dimm = { type: "dimm", data: { addr: 2 ** 32 + 2 ** 30, size: 2 ** 30 } };
  for (const [devices, addr] of [
    [[image], 5 * 2 ** 30],
    [[dimm, image], 6 * 2 ** 30],
  ] as const) {
    const qemu = machine(ost("extra-memory", 0), { devices });
    await plugMemory(qemu, { mib: 128, timeoutMs: 1000 });
    assert.equal(qemu.plugged[0]?.addr, addr);
  }
});

test("what a captured QEMU says of its memory is not believed beyond what can be", async () => {
  const impossible = [{ data: { memaddr: 2 ** 60, size: 1 } }];
  for (const devices of [{}, impossible, [{ data: { size: -1 } }], new Array(1000).fill({})]) {
    const qemu = machine(ost("extra-memory", 0), { devices });
    await assert.rejects(plugMemory(qemu, { mib: 128, timeoutMs: 1000 }), REFUSED);
    assert.equal(qemu.listeners.size, 0, "somebody still listens");
  }
});
