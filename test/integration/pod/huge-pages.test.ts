// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readHugePages } from "../../../src/linux/huge-pages.ts";
import { mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

const SETTING = "/proc/sys/vm/nr_hugepages";
const MEMORY_MIB = 256;

const was = Number(readFileSync(SETTING, "utf8"));
const pages = (MEMORY_MIB * 1024) / (readHugePages().sizeKib || 2048);
const skip = canSetAside(pages + readHugePages().free)
  ? false
  : "this host does not set huge pages aside (vm.nr_hugepages)";

let world: PodWorld;
before(() => {
  world = new PodWorld();
  world.configure({
    "hypervisor.qemu": { accelerator: "tcg", enable_hugepages: true, default_memory: MEMORY_MIB },
    factory: { enable_template: true },
  });
});
after(async () => {
  await world.end();
  setAside(was);
});

test("a guest's memory is huge pages of the host, all of it, also where files are shared", {
  skip,
}, async () => {
  setAside(was + pages);
  const free = readHugePages().free;
  const shared = join(world.directory, "shared");
  mkdirSync(shared, { mode: 0o755 });
  writeFileSync(join(shared, "word"), "from the host\n", { mode: 0o644 });
  const pod = await world.start("huge", ["-v", `${shared}:/data`, "busybox", "sleep", "1000"]);
  assert.equal(free - readHugePages().free, pages, "it has not taken all of its memory");
  const status = readFileSync(`/proc/${pod.vmmPid}/status`, "utf8");
  assert.ok(Number(/^HugetlbPages:\s+(\d+) kB$/m.exec(status)?.[1]) > 0, status);
  assert.equal(pod.state.template, undefined, "it is a clone");
  const read = await mukon(["exec", "huge", "cat", "/data/word"]);
  assert.equal(read.stdout, "from the host\n", read.stderr);
  const { stdout } = await mukon(["audit", "--json", "huge"]);
  assert.equal(JSON.parse(stdout)[0].isKept, true, stdout);

  // What the first one has, the next one cannot be given.
  world.keepWhatIsThere();
  const { stderr } = await world.assertRefused([], /HUGE_PAGES_UNAVAILABLE/);
  assert.match(stderr, new RegExp(`${pages} huge pages of \\d+ KiB are needed, and 0 are free`));
  assert.match(stderr, /vm\.nr_hugepages/);
  assert.equal((await mukon(["rm", "--force", "huge"])).code, 0);
  assert.equal(readHugePages().free, free, "huge pages were not given back");
});

test("memory that is no whole number of huge pages is refused, with the step", {
  skip,
}, async () => {
  setAside(was + pages);
  world.keepWhatIsThere();
  const { stderr } = await world.assertRefused(
    ["--memory", `${MEMORY_MIB - 1}m`],
    /HUGE_PAGES_UNAVAILABLE/,
  );
  assert.match(stderr, /a multiple of 2 MiB/);
});

function setAside(count: number): void {
  writeFileSync(SETTING, `${count}\n`);
}

/** The kernel gives as many as it finds, and says nothing. */
function canSetAside(count: number): boolean {
  try {
    setAside(count);
    return Number(readFileSync(SETTING, "utf8")) >= count;
  } catch {
    return false;
  } finally {
    try {
      setAside(was);
    } catch {
      // Then nothing was changed either.
    }
  }
}
