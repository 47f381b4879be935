// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { processorTimes } from "../../../guest/agent/sandbox/metrics.ts";
import type { AgentClient } from "../../../src/guest-protocol/agent-client.ts";
import { addProcessors } from "../../../src/keeper/guest/add-processors.ts";

const asked = { count: 1, timeoutMs: 1000 };

/** A machine with one processor of three, whose guest says that it uses `inUse`. */
function guest(inUse: readonly number[]) {
  const calls: { name: string; request: unknown }[] = [];
  const stat = inUse.map((number) => `cpu${number} 5 0 7 100 1 0 0 0 0 0\n`).join("");
  return {
    calls,
    qmp: {
      execute: async (command: string) => {
        if (command !== "query-hotpluggable-cpus") return {};
        return [2, 1, 0].map((core) => ({
          type: "host-x86_64-cpu",
          props: { "core-id": core },
          ...(core === 0 ? { "qom-path": "/machine/unattached/device[0]" } : {}),
        }));
      },
    },
    agent: {
      call: async (name: string, request: unknown): Promise<unknown> => {
        calls.push({ name, request });
        return { metrics: processorTimes(`cpu  9 9 9 9\n${stat}intr 7\n`).join("") };
      },
    } as Pick<AgentClient, "call">,
  };
}

test("a guest is told how many processors it has, and uses them", async () => {
  const one = guest([0, 1]);
  await addProcessors(one, asked);
  const request = { wait: true, nbCpus: 2, cpuOnly: true };
  assert.deepEqual(one.calls[0], { name: "onlineCPUMem", request });
});

test("a guest that uses fewer processors, or more, than it was given is an error that says how many", async () => {
  for (const inUse of [[], [0], [0, 1, 2]]) {
    await assert.rejects(addProcessors(guest(inUse), asked), {
      code: "VMM_PROCESSORS_REFUSED",
      message: new RegExp(`uses ${inUse.length} processors, not the 2`),
    });
  }
});
