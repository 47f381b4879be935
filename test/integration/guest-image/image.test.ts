// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { access, mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildGuest } from "../../../guest/image/build.ts";
import { type GuestAssets, openGuest } from "../../../guest/image/open.ts";
import { run } from "../../../src/linux/run.ts";
import { bootVm } from "./boot-vm.ts";

const here = dirname(fileURLToPath(import.meta.url));
const repository = dirname(dirname(dirname(here)));
const agentBundle = join(here, "probe-agent.cjs");
const silent = (): void => {};

const missing = await whyNot();
if (missing !== undefined) console.log(`skipped: ${missing}`);

async function whyNot(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "needs root";
  const names = ["qemu-system-x86_64", "mkfs.erofs", "apt-get", "xz", "zstd"];
  for (const name of names) {
    const found = await access(join("/usr/bin", name)).then(
      () => true,
      () => false,
    );
    if (!found) return `${name} is not installed`;
  }
  return undefined;
}

/** What the agent in probe-agent.cjs printed. */
function factsOf(console: string): Record<string, unknown> {
  const line = /^FACTS (.*)$/m.exec(console)?.[1];
  assert.ok(line !== undefined, `the agent printed nothing; the console:\n${console}`);
  return JSON.parse(line);
}

/** Everything in a guests' directory but what is meant to stay. */
async function leftovers(root: string): Promise<string[]> {
  const meant = /^([0-9a-f]{32}|current|packages|\.lock)$/;
  return (await readdir(root)).filter((name) => !meant.test(name));
}

describe("the guest image", { skip: missing ?? false }, () => {
  let state = "";
  let root = "";
  let guest: GuestAssets;
  before(async () => {
    state = await mkdtemp(join(tmpdir(), "mukon-guest-"));
    root = join(state, "guest");
    const lines: string[] = [];
    await buildGuest({ outputRoot: root, agentBundle, log: (line) => lines.push(line) });
    assert.ok(lines.length > 5, "the build says what it does");
    guest = await openGuest({ root, stampPath: join(state, "stamps.json") });
  });
  after(() => rm(state, { recursive: true, force: true }));

  test("boots from virtio-pmem to its agent, with all that containers need", async () => {
    const console = await bootVm(guest, { image: "pmem", disks: [guest.busyboxPath] });
    const facts = factsOf(console);
    assert.equal(facts.node, process.version);
    assert.equal(facts.parent, 1, "the agent is PID 1's child");
    assert.equal(facts.dax, "true", "the image's pages are shared with the host");
    assert.match(String(facts.crun), /^crun version 1\./);
    assert.match(String(facts.controllers), /cpu.*memory.*pids/);
    assert.equal(facts.loopback, true);
    assert.equal(facts.autoload, "");
    assert.equal(facts.zombies, 0, "PID 1 reaps orphans");
    assert.match(String(facts.writable), /EROFS/);
    const { links, ...image } = facts.image as { links: number };
    assert.deepEqual(image, {
      lower: "",
      overlay: "",
      echo: "from the container image",
      tmpMode: "1777",
      passwd: "root:x:0:0:root:/root:/bin/sh",
    });
    assert.ok(links > 200, "busybox is there under all its names, as one file");
    assert.match(console, /the agent ended with code 7/, "the VM ends with its agent");
  });

  test("boots from a virtio disk where virtio-pmem is not to be had", async () => {
    const facts = factsOf(await bootVm(guest, { image: "disk", commandLine: "mukon_image=disk" }));
    assert.ok((facts.mounts as string[])[0]?.startsWith("/dev/vda / erofs ro"));
  });

  test("answers the probe for a processor that runs a guest, without an image", async () => {
    const console = await bootVm(guest, { image: "none", commandLine: "mukon_probe=1" });
    assert.match(console, /mukon-probe-ok/);
  });

  test("a guest without its image says so and powers off", async () => {
    const console = await bootVm(guest, { image: "none" });
    assert.match(console, /mukon-init: no device with the guest image/);
  });

  test("the image is whole 2 MiB pages, as virtio-pmem wants", async () => {
    for (const path of [guest.imagePath, guest.busyboxPath]) {
      assert.equal((await stat(path)).size % (2 * 1024 * 1024), 0);
    }
  });

  test("the same inputs give the same bytes; what a killed build left is removed", async () => {
    await mkdir(join(root, ".build-killed", "root"), { recursive: true });
    const again = await buildGuest({ outputRoot: root, agentBundle, log: silent, isForced: true });
    assert.equal(again.contentHash, guest.manifest.contentHash);
    assert.deepEqual(await leftovers(root), []);
  });

  test("a build with nothing new to do makes nothing", async () => {
    const { ino } = await stat(guest.imagePath);
    await buildGuest({ outputRoot: root, agentBundle, log: silent });
    assert.equal((await stat(guest.imagePath)).ino, ino);
  });

  test("builds at the same time wait for each other", async () => {
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const build = () => buildGuest({ outputRoot: root, agentBundle, log, isForced: true });
    const manifests = await Promise.all([build(), build()]);
    for (const { contentHash } of manifests) assert.equal(contentHash, guest.manifest.contentHash);
    assert.ok(lines.includes("Waiting for another guest build"));
    assert.deepEqual(await leftovers(root), []);
  });

  test("an interrupted build says so, leaves nothing, and keeps the guest there was", async () => {
    const { code, output } = await interruptBuild(root);
    assert.equal(code, 1);
    assert.match(output, /GUEST_BUILD_INTERRUPTED/);
    assert.deepEqual(await leftovers(root), []);
    await openGuest({ root, stampPath: join(state, "stamps.json") });
  });

  test("an agent that is not there is named", async () => {
    const options = { outputRoot: root, agentBundle: "/nowhere/agent.cjs", log: silent };
    await assert.rejects(buildGuest(options), { code: "GUEST_INPUT_MISSING", message: /nowhere/ });
  });

  test("a disk that is too small fails at once, and stays empty", async (context) => {
    const small = await mkdtemp(join(state, "small-"));
    await run(["mount", "-t", "tmpfs", "-o", "size=32m", "mukon-test", small]);
    context.after(() => run(["umount", small]));
    const options = { outputRoot: small, agentBundle, log: silent };
    await assert.rejects(buildGuest(options), { code: "GUEST_DISK_FULL", hint: /Free some space/ });
    assert.deepEqual(await leftovers(small), []);
  });
});

/** Starts a build as a program and sends it Ctrl-C's signal in the middle. */
async function interruptBuild(root: string): Promise<{ code: number | null; output: string }> {
  const script = join(repository, "scripts", "build-guest.ts");
  // Another agent, so that there is something to build.
  const argv = ["--import", "tsx", script, join(here, "boot-vm.ts"), root];
  const child = spawn(process.execPath, argv, {
    cwd: repository,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let isInterrupted = false;
  child.stderr.on("data", (data) => {
    output += data;
    if (isInterrupted || !/Writing the guest's image/.test(output)) return;
    isInterrupted = true;
    child.kill("SIGINT");
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, output };
}
