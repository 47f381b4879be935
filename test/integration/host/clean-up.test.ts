// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { collectGarbage } from "../../../src/host/gc/collect.ts";
import { createName } from "../../../src/host/identity/backend.ts";
import { claimBlock, listBlocks } from "../../../src/host/identity/blocks.ts";
import { identityOf } from "../../../src/host/identity/types.ts";
import { Journal, readJournal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import { listSandboxes } from "../../../src/host/sandbox-state.ts";
import { listMounts } from "../../../src/linux/mounts.ts";
import {
  identitiesDirectory,
  runRoot,
  runtimeDirectoryRoot,
  shimSocketsDirectory,
} from "../../../src/linux/paths.ts";
import { run } from "../../../src/linux/run.ts";
import { useTemporaryRoots } from "../../unit/host/roots.ts";
import { leavesNoTrace, PREFIX, SKIP_UNLESS_ROOT, testIdentities, traces } from "./support.ts";

const STEPS = [
  ...["nothing", "journal", "socket", "identity", "directory", "mount", "processes", "daemons"],
];
const RANDOM_KILLS = 6;
const SCRIPT = fileURLToPath(new URL("acquire-and-wait.ts", import.meta.url));
const NOW = { minimumAgeMs: 0 };
const NUMBER = testIdentities("auto").idRangeStart / 65_536 + 31;

/** All that there is of any sandbox, below the folder of these tests too. */
function leftovers(): string[] {
  const list = (directory: string): string[] =>
    existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  return [
    ...traces(),
    ...listSandboxes(),
    ...list(identitiesDirectory()),
    ...list(runtimeDirectoryRoot()),
    ...list(shimSocketsDirectory()),
    ...listMounts()
      .map(({ mountPoint }) => mountPoint)
      .filter((point) => point.startsWith(runRoot())),
  ];
}

function startShim(key: string, lastStep: string, backend = "auto"): ChildProcess {
  return spawn(process.execPath, ["--import", "tsx", SCRIPT, key, lastStep, backend], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function awaitStep(shim: ChildProcess, step: string): Promise<void> {
  await new Promise<void>((done, fail) => {
    let text = "";
    shim.stdout?.on("data", (chunk: Buffer) => {
      text += chunk;
      if (text.split("\n").includes(step)) done();
    });
    shim.once("exit", (code) => fail(new Error(`the shim ended with ${code} before ${step}`)));
  });
}

async function killHard(shim: ChildProcess): Promise<void> {
  if (shim.exitCode !== null || shim.signalCode !== null) return;
  const ended = new Promise((done) => shim.once("exit", done));
  shim.kill("SIGKILL");
  await ended;
}

describe("cleaning up after a shim that was killed", { skip: SKIP_UNLESS_ROOT }, () => {
  useTemporaryRoots();
  leavesNoTrace();
  afterEach(async () => {
    await collectGarbage(NOW);
  });

  for (const backend of ["useradd", "auto"]) {
    for (const step of backend === "auto" ? STEPS : ["identity", "daemons"]) {
      it(`leaves nothing when that was after: ${step} (${backend})`, async () => {
        const shim = startShim("victim", step, backend);
        await awaitStep(shim, step);
        await killHard(shim);
        await collectGarbage(NOW);
        assert.deepEqual(leftovers(), []);
        assert.deepEqual(await collectGarbage(NOW), []);
      });
    }
  }

  it("leaves nothing whenever that was", async () => {
    for (let round = 0; round < RANDOM_KILLS; round += 1) {
      const shim = startShim("victim", "end", round % 2 === 0 ? "useradd" : "auto");
      await awaitStep(shim, "nothing");
      await sleep(Math.random() * 150);
      await killHard(shim);
      // A program that the shim had just started may still be at work for a moment.
      await sleep(200);
      await collectGarbage(NOW);
      assert.deepEqual(leftovers(), []);
    }
  });

  it("waits for a useradd that has outlived its shim", async () => {
    const programs = join(runRoot(), "slow-programs");
    mkdirSync(programs, { recursive: true });
    const slow = `#!/bin/sh\n: > ${programs}/begun\nsleep 1\nexec /usr/sbin/useradd "$@"\n`;
    writeFileSync(join(programs, "useradd"), slow, { mode: 0o755 });
    const path = process.env.PATH;
    process.env.PATH = `${programs}:${path}`;
    const shim = startShim("victim", "end", "useradd");
    process.env.PATH = path;
    while (!existsSync(join(programs, "begun"))) await sleep(5);
    await killHard(shim);
    await collectGarbage(NOW);
    assert.deepEqual(leftovers(), []);
    await sleep(1_500);
    assert.deepEqual(leftovers(), []);
  });

  it("leaves a living sandbox alone, and a young one, and tears down when told to", async () => {
    const shim = startShim("living", "daemons");
    await awaitStep(shim, "daemons");
    assert.deepEqual(await collectGarbage(NOW), []);
    assert.equal(readJournal("living").entries.length > 5, true);
    await killHard(shim);
    assert.deepEqual(await collectGarbage(), []);
    const later = await collectGarbage({ now: Date.now() + 11_000 });
    assert.deepEqual(later, ["sandbox living"]);
    assert.deepEqual(leftovers(), []);
  });

  it("is done by the shim itself too, which survives it", async () => {
    const journal = Journal.open("myself");
    journal.append({ type: "file", path: join(runRoot(), "sandboxes/myself/file") });
    journal.close();
    await tearDown("myself");
    assert.deepEqual(leftovers(), []);
  });

  it("kills a shim that hangs when the sandbox is to go", async () => {
    const shim = startShim("hanging", "daemons");
    await awaitStep(shim, "daemons");
    const ended = new Promise((done) => shim.once("exit", (_code, signal) => done(signal)));
    await tearDown("hanging");
    assert.equal(await ended, "SIGKILL");
    assert.deepEqual(leftovers(), []);
  });

  it("can be done by several at once", async () => {
    const shim = startShim("crowded", "daemons");
    await awaitStep(shim, "daemons");
    await killHard(shim);
    await Promise.all([tearDown("crowded"), collectGarbage(NOW), tearDown("crowded")]);
    assert.deepEqual(leftovers(), []);
  });

  it("does not touch another pod's ids, which its journal names by mistake", async () => {
    const shim = startShim("owner", "daemons");
    await awaitStep(shim, "daemons");
    const [block] = listBlocks();
    assert.equal(block?.owner, "owner");
    const number = block?.number ?? 0;
    const { vmm } = identityOf(number, PREFIX, "useradd");
    // As when two shims want the same block: both wrote it down, one got it.
    const journal = Journal.open("loser", { owner: { pid: 1, startTime: 1n } });
    journal.append({ type: "identity", number });
    journal.append({ type: "user", backend: "user-records", name: vmm.name, uid: vmm.uid });
    journal.close();
    const before = traces();
    await tearDown("loser");
    assert.deepEqual(traces(), before);
    assert.deepEqual(listBlocks(), [block]);
    await killHard(shim);
    await tearDown("owner");
  });

  it("does not kill a process that has the pid of one that is gone", async () => {
    const stranger = spawn("/bin/sleep", ["600"], { stdio: "ignore" });
    const journal = Journal.open("reused", { owner: { pid: 1, startTime: 1n } });
    const pid = stranger.pid ?? 0;
    journal.append({ type: "process", role: "vmm", pid, startTime: 1 });
    journal.close();
    await tearDown("reused");
    assert.equal(stranger.exitCode ?? stranger.signalCode, null);
    await killHard(stranger);
  });

  it("does not follow links out of what it removes", async () => {
    const outside = join(runRoot(), "outside");
    mkdirSync(outside, { recursive: true });
    writeFileSync(join(outside, "precious"), "");
    const journal = Journal.open("linked");
    const directory = join(runtimeDirectoryRoot(), "1");
    journal.append({ type: "directory", path: directory });
    journal.close();
    mkdirSync(directory);
    symlinkSync(outside, join(directory, "link"));
    await tearDown("linked");
    assert.deepEqual(readdirSync(outside), ["precious"]);
    assert.deepEqual(leftovers(), []);
  });
});

describe("cleaning up what no sandbox knows of", { skip: SKIP_UNLESS_ROOT }, () => {
  useTemporaryRoots();
  leavesNoTrace();
  const { vmm } = identityOf(NUMBER, PREFIX, "useradd");
  const user = { name: vmm.name, id: vmm.uid };

  for (const backend of ["useradd", "user-records"] as const) {
    it(`removes users of before the last boot (${backend})`, async () => {
      await createName(user, backend, () => {});
      assert.notDeepEqual(traces(), []);
      assert.deepEqual(await collectGarbage(), [`user ${vmm.name}`]);
      assert.deepEqual(leftovers(), []);
    });
  }

  it("removes a group that was made, when its user was not", async () => {
    await run(["groupadd", "-g", String(user.id), user.name]);
    assert.deepEqual(await collectGarbage(), [`group ${user.name}`]);
    assert.deepEqual(leftovers(), []);
  });

  it("leaves the users of another run root alone", async (test) => {
    const own = process.env.MUKON_RUN_ROOT;
    await createName(user, "useradd", () => {});
    test.after(async () => {
      process.env.MUKON_RUN_ROOT = own;
      await collectGarbage();
    });
    process.env.MUKON_RUN_ROOT = `${own}-other`;
    assert.deepEqual(await collectGarbage(), []);
    assert.notDeepEqual(traces(), []);
  });

  it("frees blocks whose sandbox is gone, once they are old enough", async () => {
    mkdirSync(identitiesDirectory(), { recursive: true });
    claimBlock(NUMBER, "gone");
    await createName(user, "useradd", () => {});
    assert.deepEqual(await collectGarbage(), []);
    const removed = await collectGarbage({ now: Date.now() + 11_000 });
    assert.deepEqual(removed, [`ids of block ${NUMBER} (sandbox gone)`]);
    assert.deepEqual(leftovers(), []);
  });

  it("removes sockets that nobody listens on, and no others", async () => {
    mkdirSync(shimSocketsDirectory(), { recursive: true });
    const dead = join(shimSocketsDirectory(), "dead");
    const living = join(shimSocketsDirectory(), "living");
    const server = createServer();
    await new Promise<void>((done) => server.listen(living, done));
    const make = `require("net").createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, "SIGKILL"))`;
    const maker = spawn(process.execPath, ["-e", make]);
    await new Promise((done) => maker.once("exit", done));
    assert.deepEqual(await collectGarbage(NOW), [`socket ${dead}`]);
    assert.deepEqual(readdirSync(shimSocketsDirectory()), ["living"]);
    await new Promise((done) => server.close(done));
  });

  it("tells what would not go, and goes on", async () => {
    const failures: string[] = [];
    const journal = Journal.open("stuck", { owner: { pid: 1, startTime: 1n } });
    const stuck = join(runRoot(), "stuck/directory");
    journal.append({ type: "file", path: stuck });
    journal.close();
    mkdirSync(stuck, { recursive: true });
    await createName(user, "useradd", () => {});
    const removed = await collectGarbage({ ...NOW, onFailure: (item) => failures.push(item) });
    assert.deepEqual(removed, [`user ${vmm.name}`]);
    assert.deepEqual(failures, ["sandbox stuck"]);
  });
});
