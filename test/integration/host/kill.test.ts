// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { processesOfBlocks } from "../../../src/host/identity/block-processes.ts";
import { killAll } from "../../../src/host/journal/kill.ts";
import { isRunning } from "../../../src/host/journal/liveness.ts";
import { readProcessStatus, readStartTime } from "../../../src/linux/process-status.ts";
import { leavesNoTrace, SKIP_UNLESS_ROOT } from "./support.ts";

const NUMBER = 0x6000;
const ID = NUMBER * 65_536 + 65_520;

function start(argv: readonly string[]): { pid: number; startTime: bigint } {
  const child = spawn("setpriv", ["--reuid", String(ID), "--clear-groups", "--", ...argv], {
    stdio: "ignore",
    detached: true,
  });
  const pid = child.pid ?? 0;
  return { pid, startTime: readStartTime(pid) ?? 0n };
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 1000) throw new Error("it did not come to that");
    await sleep(5);
  }
}

describe("killing all of a pod", { skip: SKIP_UNLESS_ROOT }, () => {
  leavesNoTrace();

  it("finds a program whose first thread has ended, to look dead", async () => {
    const script = fileURLToPath(new URL("end-first-thread.ts", import.meta.url));
    // As root: the uid of a pod could not read the script in a closed directory.
    const child = spawn(process.execPath, ["--import", "tsx", script], { stdio: "ignore" });
    const target = { pid: child.pid ?? 0, startTime: readStartTime(child.pid ?? 0) ?? 0n };
    await until(() => readProcessStatus(target.pid)?.state === "Z");
    assert.equal(isRunning(target), true);
    const ended = new Promise((done) => child.once("exit", (_code, signal) => done(signal)));
    await killAll({ processes: [target], blocks: [] });
    assert.equal(isRunning(target), false);
    assert.equal(await ended, "SIGKILL");
  });

  it("ends one that forks faster than it is looked for", async () => {
    start(["/bin/sh", "-c", "while :; do sleep 0.05 & sleep 0.01; done"]);
    await until(() => processesOfBlocks([NUMBER]).length > 2);
    await killAll({ processes: [], blocks: [NUMBER] });
    await sleep(100);
    assert.deepEqual(processesOfBlocks([NUMBER]), []);
  });

  it("ends one that ignores every signal, and is stopped", async () => {
    const target = start(["/bin/sh", "-c", "trap '' TERM INT HUP; kill -STOP $$; sleep 600"]);
    await until(() => readProcessStatus(target.pid)?.state === "T");
    await killAll({ processes: [target], blocks: [] });
    assert.equal(isRunning(target), false);
  });

  it("never ends the caller", async () => {
    const self = { pid: process.pid, startTime: readStartTime(process.pid) ?? 0n };
    await killAll({ processes: [self], blocks: [] });
  });

  it("gives up after a while, and says which process is left", async () => {
    const target = start(["/bin/sleep", "600"]);
    // No time at all: the first look finds it, and the signal comes too late.
    await assert.rejects(killAll({ processes: [target], blocks: [] }, 0), {
      code: "PROCESS_NOT_KILLED",
      message: new RegExp(`: ${target.pid}$`),
    });
    await killAll({ processes: [target], blocks: [] });
  });
});
