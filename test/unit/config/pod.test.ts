// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyAnnotations } from "../../../src/config/annotations/apply.ts";
import { podTypeOf } from "../../../src/config/annotations/pod-type.ts";
import type { OciSizing } from "../../../src/config/annotations/sizing.ts";
import { fails, load, loadFrom } from "./helpers.ts";

const CRI = "io.kubernetes.cri.";
const MIB = 1024 * 1024;
const host = { cpus: 8, memoryMib: 16_384 };

async function sizeOf(sizing: OciSizing, annotations: Record<string, string> = {}) {
  const applied = applyAnnotations(await loadFrom({}), annotations, { host, ...sizing });
  const { defaultVcpus, defaultMemory } = applied.configuration.hypervisor.qemu;
  return [defaultVcpus, defaultMemory];
}

test("a bundle's annotations tell what it is", () => {
  assert.deepEqual(podTypeOf({}), { type: "single" });
  assert.deepEqual(podTypeOf({ [`${CRI}container-type`]: "sandbox" }), { type: "sandbox" });
  assert.deepEqual(podTypeOf({ "io.kubernetes.docker.type": "podsandbox" }), { type: "sandbox" });
  assert.deepEqual(
    podTypeOf({ [`${CRI}container-type`]: "container", [`${CRI}sandbox-id`]: "ab12" }),
    { type: "container", sandboxId: "ab12" },
  );
  assert.deepEqual(
    podTypeOf({
      "io.kubernetes.cri-o.ContainerType": "container",
      "io.kubernetes.cri-o.SandboxID": "cd",
    }),
    { type: "container", sandboxId: "cd" },
  );
});

test("an unknown type, and a sandbox id that is missing or unfit for a path, are errors", () => {
  assert.throws(() => podTypeOf({ [`${CRI}container-type`]: "pod" }), fails("POD_TYPE_UNKNOWN"));
  const container = { [`${CRI}container-type`]: "container" };
  assert.throws(() => podTypeOf(container), fails("POD_SANDBOX_ID_MISSING"));
  for (const id of ["", "../x", "a/b", ".", "x".repeat(200)]) {
    assert.throws(
      () => podTypeOf({ ...container, [`${CRI}sandbox-id`]: id }),
      fails("POD_SANDBOX_ID_MISSING"),
    );
  }
});

test("a single container's guest has the defaults plus the container's own limits", async () => {
  assert.deepEqual(await sizeOf({}), [1, 2048]);
  assert.deepEqual(
    await sizeOf({ memoryLimitBytes: 512 * MIB, cpuQuota: 150_000, cpuPeriod: 100_000 }),
    [3, 2560],
  );
  assert.deepEqual(await sizeOf({ memoryLimitBytes: 1n }), [1, 2049]);
  assert.deepEqual(await sizeOf({ memoryLimitBytes: -1, cpuQuota: -1, cpuPeriod: 0 }), [1, 2048]);
});

test("a Kubernetes pod's guest has the defaults plus the sums in its annotations", async () => {
  const pod = {
    [`${CRI}container-type`]: "sandbox",
    [`${CRI}sandbox-memory`]: String(256 * MIB),
    [`${CRI}sandbox-cpu-quota`]: "50000",
    [`${CRI}sandbox-cpu-period`]: "100000",
  };
  assert.deepEqual(await sizeOf({ memoryLimitBytes: 99 * MIB }, pod), [2, 2304]);
  const shares = {
    ...pod,
    [`${CRI}sandbox-cpu-quota`]: "-1",
    [`${CRI}sandbox-cpu-shares`]: "2048",
  };
  assert.deepEqual(await sizeOf({}, shares), [3, 2304]);
  await assert.rejects(
    sizeOf({}, { ...pod, [`${CRI}sandbox-memory`]: "1Gi" }),
    fails("ANNOTATION_VALUE", "sandbox-memory"),
  );
});

test("a guest is never larger than the host or the configured most", async (t) => {
  assert.deepEqual(
    await sizeOf({ memoryLimitBytes: 2n ** 62n, cpuQuota: 10_000_000, cpuPeriod: 100 }),
    [8, 16_384],
  );
  const small = await load(t, "[hypervisor.qemu]\ndefault_maxvcpus = 2\ndefault_maxmemory = 4096");
  const applied = applyAnnotations(
    small,
    {},
    { host, memoryLimitBytes: 8192 * MIB, cpuQuota: 400, cpuPeriod: 100 },
  );
  const { qemu } = applied.configuration.hypervisor;
  assert.deepEqual([qemu.defaultVcpus, qemu.defaultMemory], [2, 4096]);
  assert.equal(applied.warnings.length, 2);
  assert.equal(applied.origins.get("hypervisor.qemu.default_memory")?.kind, "limits");
});

test("zero stands for the default size", async (t) => {
  const zero = await load(t, "[hypervisor.qemu]\ndefault_vcpus = 0\ndefault_memory = 0");
  const { qemu } = applyAnnotations(zero, {}, { host }).configuration.hypervisor;
  assert.deepEqual([qemu.defaultVcpus, qemu.defaultMemory], [1, 2048]);
});
