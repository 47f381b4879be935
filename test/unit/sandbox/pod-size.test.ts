// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyAnnotations } from "../../../src/config/annotations/apply.ts";
import { loadConfiguration } from "../../../src/config/load.ts";
import { divideSize, podVcpus } from "../../../src/sandbox/pod-size.ts";

const PREFIX = "io.katacontainers.config.hypervisor.";

test("a pod begins with the processors that all have, and gets the rest", () => {
  const cases: [configured: number, wanted: number, base: number, extra: number][] = [
    [1, 1, 1, 0],
    [1, 4, 1, 3],
    [2, 3, 2, 1],
    [2, 1, 1, 0],
    // More than the machine of all pods can have.
    [1, 9, 9, 0],
  ];
  for (const [configured, wanted, base, extra] of cases) {
    const size = podVcpus({ configured, wanted, most: 8 });
    assert.deepEqual(size, { base, extra }, `${configured} of ${wanted}`);
  }
});

test("a pod of any size has the machine of all pods, whatever its annotations say of the most", async () => {
  const loaded = await loadConfiguration({
    text: `[hypervisor.qemu]
default_vcpus = 1
default_maxvcpus = 8
enable_annotations = [".*"]
`,
  });
  const sizeOf = (annotations: Record<string, string>): ReturnType<typeof divideSize> =>
    divideSize(loaded, applyAnnotations(loaded, annotations));
  const plain = sizeOf({});
  const large = sizeOf({ [`${PREFIX}default_vcpus`]: "3", [`${PREFIX}default_max_vcpus`]: "4" });
  assert.equal(plain.growth.vcpus, 0);
  assert.equal(large.growth.vcpus, 2);
  const machine = (one: typeof plain): unknown => one.applied.configuration.hypervisor.qemu;
  assert.deepEqual(machine(large), machine(plain));
});
