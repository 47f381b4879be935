// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { killProcess, waitProcessGone } from "../../../src/linux/pidfd.ts";
import {
  isSameProcess,
  listProcesses,
  listThreads,
  parseStatus,
  readDescriptors,
  readNamespaces,
  readProcessStatus,
  readStartTime,
} from "../../../src/linux/process-status.ts";

const OWN = readFileSync("/proc/self/status", "utf8");
const NO_PROCESS = 0x3fffff;

test("facts of this very process", () => {
  const status = readProcessStatus(process.pid);
  assert.equal(status?.pid, process.pid);
  assert.equal(status?.ppid, process.ppid);
  assert.equal(status?.uids[0], process.getuid?.());
  assert.equal(status?.uids.length, 4);
  assert.equal(status?.gids[0], process.getgid?.());
  assert.ok((status?.threads ?? 0) > 1);
  assert.ok(listProcesses().includes(process.pid));
  assert.ok(readDescriptors(process.pid).size > 2);
  assert.match(readNamespaces(process.pid).net ?? "", /^net:\[\d+\]$/);
});

test("every thread has facts of its own", () => {
  const threads = listThreads(process.pid);
  assert.ok(threads.length > 1);
  for (const thread of threads) {
    assert.equal(readProcessStatus(process.pid, thread)?.pid, thread);
  }
});

test("a process that is not there is undefined, not an error", () => {
  assert.equal(readProcessStatus(NO_PROCESS), undefined);
  assert.equal(readStartTime(NO_PROCESS), undefined);
  assert.deepEqual(listThreads(NO_PROCESS), []);
  assert.deepEqual(readNamespaces(NO_PROCESS), {});
});

test("text of a confined process", () => {
  const text = OWN.replace(/^Uid:.*$/m, "Uid:\t100001\t100001\t100001\t100001")
    .replace(/^Groups:.*$/m, "Groups:\t108 109 ")
    .replace(/^CapBnd:.*$/m, "CapBnd:\t0000000000000400")
    .replace(/^NoNewPrivs:.*$/m, "NoNewPrivs:\t1")
    .replace(/^Seccomp:.*$/m, "Seccomp:\t2");
  const status = parseStatus(text);
  assert.deepEqual(status.uids, [100001, 100001, 100001, 100001]);
  assert.deepEqual(status.groups, [108, 109]);
  assert.equal(status.capabilities.bounding, 0x400n);
  assert.equal(status.noNewPrivileges, true);
  assert.equal(status.seccomp, 2);
});

const FACTS = ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
for (const fact of [...FACTS, "NoNewPrivs", "Seccomp", "Threads", "Pid", "PPid", "State"]) {
  test(`a status without ${fact} is refused: it must not read as "none"`, () => {
    const without = OWN.replace(new RegExp(`^${fact}:.*\n`, "m"), "");
    assert.throws(() => parseStatus(without), { code: "PROCESS_STATUS_UNREADABLE" });
  });
}

test("malformed facts are refused", () => {
  for (const [fact, value] of [
    ["Uid", "0 0 0"],
    ["CapEff", ""],
    ["CapEff", "zz"],
    ["NoNewPrivs", "yes"],
  ]) {
    const broken = OWN.replace(new RegExp(`^${fact}:.*$`, "m"), `${fact}:\t${value}`);
    assert.throws(() => parseStatus(broken), { code: "PROCESS_STATUS_UNREADABLE" });
  }
});

test("a name with parentheses does not shift the start time", async () => {
  const script = "process.title = 'a) R 1 (b'; console.log(1); setTimeout(() => {}, 60_000)";
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  const pid = child.pid ?? 0;
  const own = readStartTime(process.pid) ?? 0n;
  const startTime = readStartTime(pid) ?? 0n;
  assert.ok(startTime >= own && startTime < own + 60_000n, String(startTime));
  assert.equal(isSameProcess(pid, startTime), true);
  assert.equal(killProcess({ pid, startTime }, "SIGKILL"), true);
  await once(child, "exit");
});

test("a signal goes only to the process that was meant", async () => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const pid = child.pid ?? 0;
  const startTime = readStartTime(pid) ?? 0n;
  assert.equal(killProcess({ pid, startTime: startTime - 1n }, "SIGKILL"), false);
  assert.equal(isSameProcess(pid, startTime), true);
  assert.equal(await waitProcessGone({ pid, startTime }, 20), false);
  const exit = once(child, "exit");
  assert.equal(killProcess({ pid, startTime }, "SIGTERM"), true);
  assert.equal(await waitProcessGone({ pid, startTime }, 5000), true);
  assert.deepEqual(await exit, [null, "SIGTERM"]);
  assert.equal(killProcess({ pid, startTime }, "SIGKILL"), false);
});
