// SPDX-License-Identifier: Apache-2.0
// A process that somebody kills as it is started: whoever has started it is told that, and no more.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { spawnJailed } from "../../../src/host/jail/spawn-jailed.ts";
import { Journal, readJournal } from "../../../src/host/journal/journal.ts";
import type { ConfinedLaunch } from "../../../src/host/launcher/types.ts";
import { launchVerified } from "../../../src/sandbox/launch-verified.ts";
import { leavesNoTrace, SKIP_UNLESS_ROOT } from "./support.ts";

const ID = 0x6000_0001;
const SLEEPER: ConfinedLaunch = {
  role: "sleeper",
  argv: ["/bin/sleep", "600"],
  ...{ uid: ID, gid: ID, groups: [] },
  stdio: ["ignore", "ignore", "pipe"],
};
const KEY = "killed";
const ENDING_MS = 300;
const HINT = /journalctl/;

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-killed-"));
  process.env.MUKON_RUN_ROOT = directory;
});
after(() => {
  delete process.env.MUKON_RUN_ROOT;
  rmSync(directory, { recursive: true });
});

describe("a process that is killed as it is started", { skip: SKIP_UNLESS_ROOT }, () => {
  leavesNoTrace();

  it("while its jail is built", () => {
    const spawnDead = () => {
      const child = spawn("/bin/true", { stdio: "ignore" });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ENDING_MS);
      return child;
    };
    assert.throws(() => spawnJailed({ paths: [], devices: [] }, spawnDead), {
      code: "JAIL_NOT_BUILT",
      message: /was killed/,
      hint: HINT,
    });
  });

  it("while it is looked at", async () => {
    const journal = Journal.open(KEY);
    // No program of the kind that filters its system calls: it is waited for.
    const launching = launchVerified(SLEEPER, { journal, seccomp: "filter" });
    const refused = assert.rejects(launching, {
      code: "LAUNCH_FAILED",
      message: /^sleeper ended at once, by SIGKILL/,
      hint: HINT,
      details: { role: "sleeper", signal: "SIGKILL" },
    });
    const pid = await pidOf("sleeper");
    process.kill(pid, "SIGKILL");
    await refused;
    journal.close();
  });
});

async function pidOf(role: string): Promise<number> {
  for (let tries = 0; tries < 1000; tries += 1) {
    const entry = readJournal(KEY).entries.find(
      (one) => one.type === "process" && one.role === role,
    );
    if (entry?.type === "process") return entry.pid;
    await sleep(5);
  }
  throw new Error(`no ${role} was written down`);
}
