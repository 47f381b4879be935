// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { prepareCgroups } from "./cgroup/layout.ts";
import { OomEvents } from "./cgroup/oom.ts";
import { Crun } from "./container/crun.ts";
import { Reaper } from "./container/reaper.ts";
import { AGENT_OOM_SCORE, setOomScore } from "./container/run-program.ts";
import { readCpuInfo, reasonNotToRun } from "./guard.ts";
import { failure, setVerbose } from "./log.ts";
import { becomeSubreaper } from "./native/process.ts";
import { Connections } from "./network/connections.ts";
import { findPort, PORT_NAME } from "./port/find.ts";
import { Port } from "./port/port.ts";
import { Sandbox } from "./sandbox/sandbox.ts";
import { allMethods } from "./service/methods.ts";
import { Storages } from "./storage/storages.ts";
import { Conversation, type Methods } from "./ttrpc/server.ts";

/** Each blocking call of the port, of mounts and of files holds one thread. */
const POOL_THREADS = "16";
const WORK_DIRECTORY = "/run/mukon";
const BUNDLES_DIRECTORY = `${WORK_DIRECTORY}/bundles`;
const PORT_TIMEOUT_MS = 10_000;
const PORT_POLL_MS = 10;

async function main(): Promise<void> {
  process.env.UV_THREADPOOL_SIZE = POOL_THREADS;
  const portPath = await waitForPort();
  const reason = reasonNotToRun({
    pid: process.pid,
    parentPid: process.ppid,
    cpuInfo: readCpuInfo(),
    hasAgentPort: portPath !== undefined,
  });
  if (reason !== undefined || portPath === undefined) {
    throw new Error(`the agent does not run here: ${reason}`);
  }
  setVerbose(/(?:^|\s)agent\.log=debug(?:\s|$)/.test(readFileSync("/proc/cmdline", "utf8")));
  await serve(portPath);
}

async function waitForPort(): Promise<string | undefined> {
  const isMaybeGuest = process.pid === 1 || process.ppid === 1;
  const deadline = Date.now() + (isMaybeGuest ? PORT_TIMEOUT_MS : 0);
  for (;;) {
    const path = findPort(PORT_NAME);
    if (path !== undefined || Date.now() >= deadline) return path;
    await delay(PORT_POLL_MS);
  }
}

async function serve(portPath: string): Promise<void> {
  setOomScore(AGENT_OOM_SCORE);
  prepareCgroups();
  becomeSubreaper();
  mkdirSync(BUNDLES_DIRECTORY, { recursive: true, mode: 0o700 });
  const reaper = new Reaper();
  reaper.start();
  const oomEvents = new OomEvents();
  const storages = new Storages();
  let files = 0;
  const nextFilePrefix = () => {
    files += 1;
    return `${WORK_DIRECTORY}/p${files}`;
  };
  const crun = new Crun(reaper, WORK_DIRECTORY);
  const bundlesDirectory = BUNDLES_DIRECTORY;
  const sandbox = new Sandbox({
    ...{ crun, reaper, storages, oomEvents },
    ...{ bundlesDirectory, nextFilePrefix },
  });
  const connections = new Connections();
  const methods = allMethods({ sandbox, reaper, connections, oomEvents, storages });
  await runPort(portPath, methods, () => {
    sandbox.forgetReaders();
    connections.closeAll();
  });
}

async function runPort(path: string, methods: Methods, onNewHost: () => void): Promise<void> {
  const send = (frame: Buffer): void => port.send(frame);
  const conversation = new Conversation({ methods, send, onNewHost });
  const port = new Port(path, {
    onData: (chunk) => conversation.receive(chunk),
    onDisconnect: () => conversation.end(),
  });
  await port.run();
}

// A dead agent is a dead VM, which the host sees; a confused one would be worse.
const end = (error: unknown): void => {
  failure("the agent ends", error);
  process.exitCode = 1;
  process.exit();
};
process.on("uncaughtException", end);
process.on("unhandledRejection", end);
main().catch(end);
