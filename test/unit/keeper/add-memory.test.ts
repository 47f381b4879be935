// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentClient } from "../../../src/guest-protocol/agent-client.ts";
import { addMemory } from "../../../src/keeper/guest/add-memory.ts";
import type { QmpEvent } from "../../../src/vmm/qemu/qmp/messages.ts";

const MIB = 1024 * 1024;

/** A guest whose kernel says that it has taken the memory, and whose memory then is `totals`. */
function guest(totals: readonly (string | number)[]) {
  let asked = 0;
  const listeners = new Set<(event: QmpEvent) => void>();
  const data = { info: { device: "extra-memory", status: 0 } };
  return {
    qmp: {
      execute: async (command: string): Promise<unknown> => {
        if (command === "query-memory-devices") return [];
        if (command !== "device_add") return {};
        for (const listener of listeners) listener({ name: "ACPI_DEVICE_OST", data });
        return {};
      },
      onEvent: (listener: (event: QmpEvent) => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    agent: {
      call: async (name: string): Promise<unknown> => {
        if (name !== "getMetrics") return {};
        return { metrics: `x 1\nkata_guest_meminfo_memtotal_bytes ${totals[asked++]}\ny 2\n` };
      },
    } as Pick<AgentClient, "call">,
  };
}

const asked = { mib: 1024, timeoutMs: 1000 };

test("memory is added when the guest has it, less the kernel's accounts of it", async () => {
  await addMemory(guest([500 * MIB, 1508 * MIB]), asked);
});

test("a guest whose kernel says that it has the memory, but has not, is an error that says how much it has", async () => {
  for (const [more, said] of [
    [0, /has 0 MiB .* not the 1024 MiB/],
    [896, /has 896 MiB/],
  ] as const) {
    const adding = addMemory(guest([500 * MIB, (500 + more) * MIB]), asked);
    await assert.rejects(adding, { code: "VMM_MEMORY_REFUSED", message: said });
  }
});

test("a guest that says nothing of its memory, or nonsense, is an error", async () => {
  for (const total of ["", "-1", "1e99", "99999999999999999999"]) {
    const adding = addMemory(guest([500 * MIB, total]), asked);
    await assert.rejects(adding, { code: "AGENT_REPLY_INVALID" });
  }
});
