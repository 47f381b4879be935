// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { plugProcessors } from "../../../src/vmm/qemu/extra-processors.ts";

const TYPE = "max-x86_64-cpu";

function place(core: number, isThere: boolean): object {
  return {
    ...{ type: TYPE, "vcpus-count": 1 },
    props: { "core-id": core, "thread-id": 0, "socket-id": 0 },
    ...(isThere ? { "qom-path": `/machine/unattached/device[${core}]` } : {}),
  };
}

/** QEMU, which names the last place first. */
function machine(places: unknown, isRefusing = false) {
  const added: Record<string, unknown>[] = [];
  return {
    added,
    execute: async (command: string, parameters: Record<string, unknown> = {}) => {
      if (command === "query-hotpluggable-cpus") return places;
      if (isRefusing) throw new MukonError("QMP_COMMAND_FAILED", "no more of them");
      added.push(parameters);
      return {};
    },
  };
}

const asked = { count: 2, timeoutMs: 1000 };
const REFUSED = "VMM_PROCESSORS_REFUSED";

test("the next processors are plugged in, in the order in which the guest counts them", async () => {
  const qemu = machine([3, 2, 1, 0].map((core) => place(core, core === 0)));
  assert.equal(await plugProcessors(qemu, asked), 3);
  const rest = { driver: TYPE, "thread-id": 0, "socket-id": 0 };
  assert.deepEqual(qemu.added, [
    { ...rest, id: "processor1", "core-id": 1 },
    { ...rest, id: "processor2", "core-id": 2 },
  ]);
});

test("a machine without room for so many is an error, and gets none", async () => {
  const qemu = machine([place(1, false), place(0, true)]);
  await assert.rejects(plugProcessors(qemu, asked), { code: REFUSED, message: /room for 1/ });
  assert.deepEqual(qemu.added, []);
});

test("what QEMU refuses is an error that says why", async () => {
  const qemu = machine([place(2, false), place(1, false), place(0, true)], true);
  await assert.rejects(plugProcessors(qemu, asked), { code: REFUSED, message: /no more of them/ });
});

test("what a captured QEMU says of its processors goes no further unless it makes sense", async () => {
  const wrong = [
    {},
    [{}],
    new Array(2000).fill(place(1, false)),
    [{ ...place(1, false), type: "x,y=z" }],
  ];
  const strange = { ...place(1, false), props: { "core-id": 1, drive: 2 } };
  for (const places of [...wrong, [strange]]) {
    const qemu = machine(places);
    await assert.rejects(plugProcessors(qemu, asked), { code: REFUSED, message: /no sense/ });
    assert.deepEqual(qemu.added, []);
  }
});
