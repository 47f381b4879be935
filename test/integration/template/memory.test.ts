// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { templatesDirectory } from "../../../src/linux/paths.ts";
import { mukon } from "../../support/mukon.ts";
import { newerQemu } from "../../support/newer-qemu.ts";
import { MEMORY_MIB, TemplateWorld } from "../../support/template-world.ts";

const SLEEP = ["busybox", "sleep", "1000"];
/** Of some ninety that the guest has touched when its template is made. */
const LEAST_SHARED_KIB = 20 * 1024;

let world: TemplateWorld;
let qemu: { default_memory: number; path: string };
before(async () => {
  qemu = { default_memory: MEMORY_MIB, path: await newerQemu() };
  world = new TemplateWorld({ "hypervisor.qemu": qemu });
});
after(() => world.end());

test("clones of a newer QEMU share the template's pages, and have those that they wrote to", async () => {
  const key = await world.build();
  assert.equal(await memorySaidBy("guest", "template", "info", "--json"), "shared");
  const more = ["--memory", "512m"];
  const pods = [await world.start("one", SLEEP), await world.start("two", [...more, ...SLEEP])];
  for (const { id, vmmPid, state } of pods) {
    assert.deepEqual([state.template, state.templateMemory], [key, "shared"]);
    const mapping = memoryMapping(vmmPid);
    assert.match(mapping.rights, /^rw-p$/, "it is not private");
    assert.ok(mapping.sharedKib > LEAST_SHARED_KIB, `only ${mapping.sharedKib} KiB are shared`);
    assert.ok(mapping.anonymousKib > 0, "a guest that runs has written to nothing");
    assert.equal((await mukon(["exec", id, "true"])).code, 0);
  }
  for (const { id } of pods) assert.equal((await mukon(["rm", "--force", id])).code, 0);
});

test("with template_memory = copied, no page of the template is mapped by a clone", async () => {
  const key = await world.build();
  world.configure({ "hypervisor.qemu": qemu, mukon: { template_memory: "copied" } });
  assert.equal(await memorySaidBy("guest", "template", "info", "--json"), "copied");
  const pod = await world.start("copy", SLEEP);
  assert.deepEqual([pod.state.template, pod.state.templateMemory], [key, "copied"]);
  assert.throws(() => memoryMapping(pod.vmmPid), /maps nothing of a template/);
  assert.equal((await mukon(["rm", "--force", "copy"])).code, 0);
});

async function memorySaidBy(...command: string[]): Promise<string> {
  return JSON.parse((await mukon(command)).stdout).memory;
}

interface Mapping {
  rights: string;
  sharedKib: number;
  anonymousKib: number;
}

/** The template's memory, as this process has mapped it (proc(5), smaps). */
function memoryMapping(pid: number): Mapping {
  const parts = readFileSync(`/proc/${pid}/smaps`, "utf8")
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter((text) => text.includes(templatesDirectory()));
  if (parts.length === 0) throw new Error(`process ${pid} maps nothing of a template`);
  const kib = (name: string): number => {
    const sizes = parts.map((part) => new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(part)?.[1]);
    return sizes.reduce((sum, size) => sum + Number(size), 0);
  };
  return {
    rights: [...new Set(parts.map((part) => part.split(" ")[1]))].join(),
    sharedKib: kib("Shared_Clean"),
    anonymousKib: kib("Anonymous"),
  };
}
