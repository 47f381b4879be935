// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { planQemuLaunch, STATE_DESCRIPTOR } from "../../../src/vmm/qemu/launch-plan.ts";
import {
  changeInBay,
  loadMachineState,
  saveMachineState,
} from "../../../src/vmm/qemu/machine-state.ts";
import type { QmpCommandOptions } from "../../../src/vmm/qemu/qmp/client.ts";

/** Plays QEMU: `progress` is what it says of the state, time after time. */
function play(progress: readonly unknown[]) {
  const commands: { name: string; parameters: Record<string, unknown>; descriptor?: number }[] = [];
  const left = [...progress];
  const execute = async (
    name: string,
    parameters: Record<string, unknown> = {},
    { descriptor }: QmpCommandOptions = {},
  ): Promise<unknown> => {
    if (name !== "query-migrate") {
      commands.push({ name, parameters, ...(descriptor === undefined ? {} : { descriptor }) });
      return {};
    }
    return left.length > 1 ? left.shift() : left[0];
  };
  return { commands, qmp: { execute } };
}

const saving = { descriptor: 42, timeoutMs: 1000 };
const loading = { inheritedDescriptor: STATE_DESCRIPTOR, timeoutMs: 1000 };

test("a machine is stopped before its state is taken, which goes to a descriptor and no path", async () => {
  const { commands, qmp } = play([{}, { status: "active" }, { status: "completed" }]);
  await saveMachineState(qmp, saving);
  const names = commands.map(({ name }) => name);
  assert.equal(names[0], "stop");
  assert.deepEqual(commands.at(-2), {
    name: "getfd",
    parameters: { fdname: "state" },
    descriptor: 42,
  });
  assert.deepEqual(commands.at(-1), { name: "migrate", parameters: { uri: "fd:state" } });
});

test("what is told of a change in the bay when the machine stands still is in its state", async () => {
  const { commands, qmp } = play([{ status: "completed" }]);
  const resize = async (diskId: string, size: number): Promise<void> => {
    await qmp.execute("block_resize", { diskId, size });
  };
  await saveMachineState(qmp, { ...saving, change: changeInBay({ resize }, "blank") });
  const told = commands.filter(({ name }) => ["block_resize", "stop", "migrate"].includes(name));
  assert.deepEqual(
    told.map(({ name, parameters }) => parameters.size ?? name),
    [512, 0, "stop", 512, "migrate"],
  );
});

test("what is mapped from the guest image is neither saved nor loaded", async () => {
  for (const work of [
    (qmp: ReturnType<typeof play>["qmp"]) => saveMachineState(qmp, saving),
    (qmp: ReturnType<typeof play>["qmp"]) => loadMachineState(qmp, loading),
  ]) {
    const { commands, qmp } = play([{ status: "completed" }]);
    await work(qmp);
    const names = commands.map(({ name }) => name);
    const set = names.indexOf("migrate-set-capabilities");
    assert.ok(
      set >= 0 &&
        set <
          names.findIndex(
            (name) => name.startsWith("migrate") && name !== "migrate-set-capabilities",
          ),
    );
    assert.deepEqual(commands[set]?.parameters, {
      capabilities: [{ capability: "x-ignore-shared", state: true }],
    });
  }
});

test("a clone waits for its state, under the number that the plan gives it", async () => {
  const input = {
    qemuPath: "/usr/bin/qemu",
    accelerator: "tcg" as const,
    vcpus: 1,
    memoryMib: 512,
    imageSizeBytes: 2 * 1024 * 1024,
  };
  const booted = planQemuLaunch(input);
  const clone = planQemuLaunch({ ...input, isClone: true });
  assert.deepEqual(clone.argv, [...booted.argv, "-incoming", "defer"]);
  assert.deepEqual(clone.descriptors, [...booted.descriptors, "state"]);
  assert.equal(3 + clone.descriptors.indexOf("state"), STATE_DESCRIPTOR);
  const { commands, qmp } = play([{ status: "completed" }]);
  await loadMachineState(qmp, loading);
  const uri = `fd:${STATE_DESCRIPTOR}`;
  assert.deepEqual(commands.at(-1), { name: "migrate-incoming", parameters: { uri } });
});

const LIES: [string, unknown, RegExp][] = [
  ["fails and says why", { status: "failed", "error-desc": "bad block" }, /load.*bad block/],
  ["fails and says nothing", { status: "failed" }, /failed/],
  ["gives up", { status: "cancelled" }, /cancelled/],
  ["never ends", { status: "active" }, /over 1000 ms/],
  ["talks nonsense", { status: 7 }, /makes no sense/],
  ["says nothing at all", undefined, /makes no sense/],
  ["tells a long story", { status: "failed", "error-desc": "x".repeat(1e6) }, /x{300}$/],
];
for (const [name, progress, message] of LIES) {
  test(`a QEMU that ${name} is an error, in time`, async () => {
    const { qmp } = play([progress]);
    await assert.rejects(loadMachineState(qmp, loading), { code: "VMM_STATE_FAILED", message });
  });
}
