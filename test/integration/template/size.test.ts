// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { listTemplates } from "../../../src/sandbox/template/store.ts";
import { mukon } from "../../support/mukon.ts";
import { MEMORY_MIB, TemplateWorld } from "../../support/template-world.ts";

/** What the pods here have beyond what the configuration gives to all. */
const EXTRA_MIB = 1024;
/** The guest's kernel keeps a part of all memory for itself. */
const LEAST_SHARE = 0.9;
/** More than there is without the further memory. */
const USED_MIB = MEMORY_MIB + 100;
/** More than this host may have. */
const MOST_VCPUS = 4;
const SLEEP = ["busybox", "sleep", "1000"];

let world: TemplateWorld;
let key: string;
before(async () => {
  world = new TemplateWorld();
  key = await world.build();
});
after(() => world.end());

test("a template of a larger pod's machine is that of all pods", async () => {
  assert.equal(await world.build("--memory", `${EXTRA_MIB}m`), key);
});

for (const [way, isCloned] of [
  ["that is a clone of the same template", true],
  ["that boots", false],
] as const) {
  test(`a larger pod ${way} gets its further memory, and can use it`, async () => {
    world.configure({
      "hypervisor.qemu": { default_memory: MEMORY_MIB },
      factory: { enable_template: isCloned },
    });
    const pod = await world.start("large", ["--memory", `${EXTRA_MIB}m`, ...SLEEP]);
    assert.equal(pod.state.template, isCloned ? key : undefined);
    const total = await inPod("sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo");
    assert.ok(Number(total) / 1024 > (MEMORY_MIB + EXTRA_MIB) * LEAST_SHARE, `${total} kB`);
    // `dd` has a buffer as large as a block is, and fills it.
    const fill = `dd if=/dev/zero of=/dev/null bs=${USED_MIB}M count=1 2>&1`;
    assert.match(await inPod(fill), /^1\+0 records out$/m);
    await mukon(["rm", "--force", "large"]);
    await world.assertNothingLeft();
  });
}

for (const [way, isCloned] of [
  ["that is a clone of the same template", true],
  ["that boots", false],
] as const) {
  test(`a pod with more processors ${way} uses just as many as it was given`, async () => {
    world.configure({
      "hypervisor.qemu": { default_memory: MEMORY_MIB, default_maxvcpus: MOST_VCPUS },
      factory: { enable_template: isCloned },
    });
    if (isCloned) {
      const most = await world.build();
      assert.equal(await world.build("--cpus", "2"), most);
    }
    // Two beside the one that the guest has for itself.
    const pod = await world.start("large", ["--cpus", "2", ...SLEEP]);
    assert.equal(pod.state.template !== undefined, isCloned);
    assert.equal(await inPod("nproc"), "3");
    assert.equal(await inPod("grep -c ^processor /proc/cpuinfo"), "3");
    assert.equal(await inPod("cat /sys/devices/system/cpu/online"), "0-2");
    // Both have something to do at once, so nobody waits for a processor that is not there.
    const work = "for i in 1 2 3; do (sha256sum /bin/busybox >/dev/null) & done; wait; echo done";
    assert.equal(await inPod(work), "done");
    assert.equal(threadsOf(pod.state.processes.vmm?.pid), 3);
    await mukon(["rm", "--force", "large"]);
    await world.assertNothingLeft();
  });
}

test("a smaller pod begins with what it has, without a template that is too large for it", async () => {
  world.configure({
    "hypervisor.qemu": { default_memory: MEMORY_MIB, enable_annotations: ["default_memory"] },
  });
  const templates = listTemplates();
  const annotation = `io.katacontainers.config.hypervisor.default_memory=${MEMORY_MIB / 2}`;
  const pod = await world.start("small", ["--annotation", annotation, ...SLEEP]);
  assert.equal(pod.state.template, undefined);
  const total = await mukon(["exec", "small", "grep", "MemTotal", "/proc/meminfo"]);
  assert.ok(Number(/\d+/.exec(total.stdout)?.[0]) / 1024 < MEMORY_MIB / 2);
  assert.deepEqual(listTemplates(), templates);
});

/** How many processors the VMM has: threads, which QEMU names. */
function threadsOf(pid: number | undefined): number {
  const tasks = `/proc/${pid}/task`;
  const names = readdirSync(tasks).map((id) => readFileSync(`${tasks}/${id}/comm`, "utf8"));
  return names.filter((name) => /^CPU \d+\/(TCG|KVM)$/.test(name.trim())).length;
}

async function inPod(script: string): Promise<string> {
  const { code, stdout, stderr } = await mukon(["exec", "large", "sh", "-c", script]);
  assert.equal(code, 0, stderr);
  return stdout.trim();
}
