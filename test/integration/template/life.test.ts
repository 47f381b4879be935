// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { listSandboxes } from "../../../src/host/sandbox-state.ts";
import { sandboxDirectory, templatesDirectory } from "../../../src/linux/paths.ts";
import { run } from "../../../src/linux/run.ts";
import { stampOf } from "../../../src/sandbox/template/manifest.ts";
import { listTemplates } from "../../../src/sandbox/template/store.ts";
import { mukon, outcomeOf, startMukon } from "../../support/mukon.ts";
import { TemplateWorld } from "../../support/template-world.ts";

const SLEEP = ["busybox", "sleep", "1000"];
/** Longer than what `mukon gc` leaves alone because it may be on its way. */
const SETTLE_MS = 11_000;
const QEMU = "/usr/bin/qemu-system-x86_64";
/** Enough to load QEMU, not for a guest of 512 MiB. */
const SHORT_KIB = 600 * 1024;

let world: TemplateWorld;
let spare: { key: string; path: string } | undefined;
before(() => {
  world = new TemplateWorld();
});
after(() => world.end());
afterEach(async () => {
  await mukon(["rm", "--force", "pod"]);
});

test("who asks at the same time for the same template gets the same one, made once", async () => {
  const keys = await Promise.all([world.build(), world.build()]);
  assert.equal(new Set(keys).size, 1);
  assert.deepEqual(listTemplates(), [keys[0]]);
  const madeAt = statSync(statePath(keys[0] ?? "")).ctimeMs;
  assert.equal(await world.build(), keys[0]);
  assert.equal(statSync(statePath(keys[0] ?? "")).ctimeMs, madeAt, "it was made again");
  await world.assertNothingLeft();
});

test("pods begin as clones, but one whose annotations make another machine is booted", async () => {
  const key = await world.build();
  const clone = await world.start("pod", SLEEP);
  assert.equal(clone.state.template, key);
  await mukon(["rm", "--force", "pod"]);
  const words = "io.katacontainers.config.hypervisor.kernel_params=tenant=secret";
  world.configure({
    "hypervisor.qemu": { default_memory: 512, enable_annotations: ["kernel_params"] },
  });
  const other = await world.start("pod", ["--annotation", words, ...SLEEP]);
  assert.equal(other.state.template, undefined);
  assert.deepEqual(listTemplates(), [key]);
});

test("with enable_template off, a pod is booted and no template is made", async () => {
  await world.build();
  world.configure({
    "hypervisor.qemu": { default_memory: 512 },
    factory: { enable_template: false },
  });
  const pod = await world.start("pod", SLEEP);
  assert.equal(pod.state.template, undefined);
  const build = await mukon(["guest", "template", "build"]);
  assert.equal(build.code, 125);
  assert.match(build.stderr, /enable_template is false/);
  world.configure({ "hypervisor.qemu": { default_memory: 512 } });
});

test("a template that was touched is dropped, and the pod starts all the same", async () => {
  const key = await world.build();
  chmodSync(statePath(key), 0o600);
  const info = await mukon(["guest", "template", "info", "--json"]);
  assert.equal(JSON.parse(info.stdout).state, "damaged");
  const pod = await world.start("pod", SLEEP);
  assert.equal(pod.state.template, undefined);
  assert.match(logOf(pod.id), /"level":"warn".*damaged.*touched since it was made/);
  assert.deepEqual(listTemplates(), []);
});

const DAMAGES: Record<string, { name: "state" | "memory"; damage: (file: Buffer) => Buffer }> = {
  "state is cut short": { name: "state", damage: (file) => file.subarray(0, file.length >> 1) },
  "state is none at all": { name: "state", damage: (file) => Buffer.alloc(file.length, 7) },
  "memory is empty": { name: "memory", damage: (file) => Buffer.alloc(file.length) },
  "memory is cut short": { name: "memory", damage: (file) => file.subarray(0, file.length >> 5) },
};
for (const [what, { name, damage }] of Object.entries(DAMAGES)) {
  test(`a template whose ${what} costs the pod a boot, once, with a warning, and is dropped`, async () => {
    const key = await wholeTemplate();
    forge(key, name, damage);
    const pod = await world.start("pod", SLEEP);
    assert.equal(pod.state.template, undefined);
    assert.match(logOf(pod.id), /"level":"warn".*template was of no use/);
    assert.equal((await mukon(["exec", "pod", "true"])).code, 0);
    assert.deepEqual(listTemplates(), []);
    await mukon(["rm", "--force", "pod"]);
    await world.assertNothingLeft();
  });
}

test("a template with the state of a machine with other processors costs a boot, and is dropped", async () => {
  world.configure({ "hypervisor.qemu": { default_memory: 512, default_vcpus: 2 } });
  const other = readFileSync(statePath(await world.build()));
  world.configure({ "hypervisor.qemu": { default_memory: 512 } });
  const key = await wholeTemplate();
  forge(key, "state", () => other);
  const pod = await world.start("pod", SLEEP);
  assert.equal(pod.state.template, undefined);
  assert.match(logOf(pod.id), /"level":"warn".*template was of no use/);
  assert.ok(!listTemplates().includes(key));
  assert.equal((await mukon(["guest", "template", "rm", "--all"])).code, 0);
});

/** A QEMU whose address space is limited, to less than it needs, where its command line has `pattern`. */
function shortOfMemory(pattern: string): string {
  const limit = `case "$*" in ${pattern}) ulimit -v ${SHORT_KIB} ;; esac`;
  return world.executable("qemu", `#!/bin/sh\n${limit}\nexec ${QEMU} "$@"\n`);
}

test("a clone for which there is not enough memory costs a boot, and the warning says so", async () => {
  const path = shortOfMemory("*-incoming*");
  world.configure({ "hypervisor.qemu": { default_memory: 512, path } });
  await world.build();
  const pod = await world.start("pod", SLEEP);
  world.configure({ "hypervisor.qemu": { default_memory: 512 } });
  assert.equal(pod.state.template, undefined);
  assert.match(logOf(pod.id), /"level":"warn".*template was of no use.*Cannot allocate memory/);
  assert.deepEqual(listTemplates(), []);
  await mukon(["rm", "--force", "pod"]);
  await world.assertNothingLeft();
});

test("a host without memory for any guest is said, nothing is left, and the template stays", async () => {
  // The guest of which the template is made is called after it.
  const path = shortOfMemory('*"-name template.."*) ;; *');
  world.configure({ "hypervisor.qemu": { default_memory: 512, path } });
  const key = await world.build();
  await world.assertRefused([], /Cannot allocate memory.*\n *hint: .*less memory/);
  world.configure({ "hypervisor.qemu": { default_memory: 512 } });
  assert.deepEqual(listTemplates(), [key]);
  assert.equal((await mukon(["guest", "template", "rm", "--all"])).code, 0);
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`a builder that is ended by ${signal} leaves no template and nothing else`, async () => {
    const child = startMukon(["guest", "template", "build", "--force"]);
    const ended = outcomeOf(child);
    while (listSandboxes().length === 0) await sleep(50);
    await sleep(500);
    child.kill(signal);
    await ended;
    if (signal === "SIGKILL") {
      await sleep(SETTLE_MS);
      assert.equal((await mukon(["gc"])).code, 0);
    }
    await world.assertNothingLeft();
    assert.deepEqual(listTemplates(), []);
  });
}

test("what a killed builder left in the store goes with the next one", async () => {
  const key = await world.build();
  const names = readdirSync(templatesDirectory()).filter((name) => !name.startsWith(".failed-"));
  assert.deepEqual(names.sort(), [".lock", key]);
});

test("a pod that had to boot has a template made for the next one like it", async () => {
  assert.equal((await mukon(["guest", "template", "rm", "--all"])).code, 0);
  const env = { MUKON_BUILD_TEMPLATES: "" };
  const first = await world.start("pod", SLEEP, { env });
  assert.equal(first.state.template, undefined);
  for (let tries = 0; listTemplates().length === 0; tries++) {
    assert.ok(tries < 600, "no template came to be within a minute");
    await sleep(100);
  }
  await mukon(["rm", "--force", "pod"]);
  await world.assertNothingLeft();
  const second = await world.start("pod", SLEEP);
  assert.deepEqual(listTemplates(), [second.state.template]);
});

function statePath(key: string): string {
  return join(templatesDirectory(), key, "state");
}

function logOf(id: string): string {
  return readFileSync(join(sandboxDirectory(id), "shim.log"), "utf8");
}

/** The world's usual template, made once and brought back after it was dropped. */
async function wholeTemplate(): Promise<string> {
  const copy = async (from: string, to: string): Promise<void> => {
    await run(["cp", "--archive", "--sparse=always", from, to]);
  };
  if (spare === undefined) {
    const key = await world.build();
    spare = { key, path: join(world.directory, "spare") };
    await copy(join(templatesDirectory(), key), spare.path);
  }
  const { key, path } = spare;
  if (!listTemplates().includes(key)) {
    await copy(path, join(templatesDirectory(), key));
    for (const name of ["state", "memory"] as const) stampAgain(key, name);
  }
  return key;
}

/** Damages a file of a template in such a way that only QEMU or the guest can notice. */
function forge(key: string, name: "state" | "memory", damage: (file: Buffer) => Buffer): void {
  const path = join(templatesDirectory(), key, name);
  const { mode } = statSync(path);
  chmodSync(path, 0o600);
  writeFileSync(path, damage(readFileSync(path)));
  chmodSync(path, mode & 0o777);
  stampAgain(key, name);
}

function stampAgain(key: string, name: "state" | "memory"): void {
  const path = join(templatesDirectory(), key, "manifest.json");
  const manifest = JSON.parse(readFileSync(path, "utf8"));
  manifest[name].stamp = stampOf(statSync(join(templatesDirectory(), key, name), { bigint: true }));
  chmodSync(path, 0o600);
  writeFileSync(path, JSON.stringify(manifest));
}
