// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { lookAtStray, readStray, type Stray } from "../../../guest/agent/container/stray.ts";

const DEADLINE_MS = 10_000;

async function awaitEnd(pid: number): Promise<Stray> {
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; await delay(5)) {
    const stray = lookAtStray(pid);
    if (stray.state !== "runs") return stray;
  }
  return lookAtStray(pid);
}

test("the end of another's child is seen, with its code, whether that one takes notice or not", async (t) => {
  // The shell becomes a program that asks for no child, so its child stays in the process table.
  const script = "exec 3<&0; (read go <&3; exit 7) & echo $!; exec sleep 1000";
  const parent = spawn("/bin/sh", ["-c", script]);
  t.after(() => parent.kill("SIGKILL"));
  const [line] = await once(parent.stdout, "data");
  const pid = Number(String(line));
  assert.deepEqual(lookAtStray(pid), { state: "runs" });
  parent.stdin.end("\n");
  assert.deepEqual(await awaitEnd(pid), { state: "ended", status: 7 << 8 });
});

test("a process that is not in the process table is gone", async () => {
  const child = spawn("/bin/true");
  const { pid } = child;
  await once(child, "close");
  assert.deepEqual(lookAtStray(pid ?? 0), { state: "gone" });
});

test("a process that is dead has ended, though it stays in the process table", () => {
  const rest = "131 202 202 0 -1 4227340 172 0 0 0 1 2 0 0 20 0 1 0 99";
  const stat = (state: string): string => `202 (a ) Z b) ${state} ${rest} 0 0 768\n`;
  assert.deepEqual(readStray(stat("X")), { state: "ended", status: 3 << 8 });
  assert.deepEqual(readStray(stat("Z")), { state: "ended", status: 3 << 8 });
  for (const state of ["R", "S", "D", "T", "I"]) {
    assert.deepEqual(readStray(stat(state)), { state: "runs" });
  }
});
