// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { killProcess, type ProcessHandle, waitProcessGone } from "../../src/linux/pidfd.ts";
import { isSameProcess, readStartTime } from "../../src/linux/process-status.ts";
import { run } from "../../src/linux/run.ts";
import { QmpClient } from "../../src/vmm/qemu/qmp/client.ts";
import { TestHostError } from "./error.ts";
import { forwardedPort, type MachinePaths, machineArguments } from "./machine.ts";
import { READY_LINE } from "./names.ts";

export const QEMU = "qemu-system-x86_64";
const POLL_MS = 50;
const SOCKET_TIMEOUT_MS = 30_000;
const KILL_TIMEOUT_MS = 10_000;

/** The outer emulator, while this process is connected to it. */
export interface Emulator {
  handle: ProcessHandle;
  qmp: QmpClient;
  paths: MachinePaths;
}

export interface StartOptions {
  paths: MachinePaths;
  /** Directory of its log and temporary files. */
  runPath: string;
  /** Whether it ends with the process that starts it, however that ends. */
  endsWithCaller: boolean;
  /** Descriptor of a saved state to begin with. */
  state?: number;
}

export async function qemuVersion(): Promise<string> {
  return (await run([QEMU, "--version"])).stdout.split("\n")[0] ?? "";
}

/** Starts the emulator; with a state, it waits to be filled. */
export async function startEmulator(options: StartOptions): Promise<Emulator> {
  const { paths, runPath, endsWithCaller, state } = options;
  for (const path of [paths.console, paths.qmpSocket]) await rm(path, { force: true });
  const prefix = endsWithCaller ? ["setpriv", "--pdeathsig", "KILL", "--"] : [];
  const incoming = state === undefined ? [] : ["-incoming", "defer"];
  const [program = QEMU, ...args] = [...prefix, QEMU, ...machineArguments(paths), ...incoming];
  const log = openSync(logPath(runPath), "w", 0o600);
  const child = spawn(program, args, {
    cwd: "/",
    detached: true,
    // Of its disks' forgotten halves, which have no name.
    env: { PATH: process.env.PATH, TMPDIR: runPath },
    stdio: ["ignore", log, log, ...(state === undefined ? [] : [state])],
  });
  closeSync(log);
  child.on("error", () => {});
  child.unref();
  const startTime = child.pid === undefined ? undefined : readStartTime(child.pid);
  if (child.pid === undefined || startTime === undefined) throw ended(options);
  const handle = { pid: child.pid, startTime };
  const qmp = await connect(options, handle);
  return { handle, qmp, paths };
}

/** Connects to an emulator that another process has started. */
export async function connectQmp(socketPath: string): Promise<QmpClient | undefined> {
  const socket = createConnection(socketPath);
  const isConnected = await new Promise<boolean>((done) => {
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
  if (!isConnected) return undefined;
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const qmp = new QmpClient(socket, fd);
  await qmp.handshake();
  return qmp;
}

async function connect(options: StartOptions, handle: ProcessHandle): Promise<QmpClient> {
  const deadline = Date.now() + SOCKET_TIMEOUT_MS;
  while (Date.now() < deadline && isSameProcess(handle.pid, handle.startTime)) {
    const qmp = await connectQmp(options.paths.qmpSocket);
    if (qmp !== undefined) return qmp;
    await sleep(POLL_MS);
  }
  throw ended(options);
}

/** Waits until the console says that commands can be run. */
export async function waitUntilReady(emulator: Emulator, timeoutMs: number): Promise<void> {
  const { handle, paths } = emulator;
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline && isSameProcess(handle.pid, handle.startTime)) {
    if (readText(paths.console).includes(READY_LINE)) return;
    await sleep(POLL_MS);
  }
  throw new TestHostError(`the test host did not come up:\n${lastLines(readText(paths.console))}`, {
    hint: "a busy machine may be too slow; build it again: scripts/testhost build",
  });
}

/** The port on loopback that the kernel chose for commands. */
export async function commandPort(qmp: QmpClient): Promise<number> {
  const answer = await qmp.execute("human-monitor-command", { "command-line": "info usernet" });
  const port = forwardedPort(String(answer));
  if (port === undefined) throw new TestHostError("QEMU forwards no port to the test host");
  return port;
}

export async function killEmulator(handle: ProcessHandle): Promise<void> {
  killProcess(handle, "SIGKILL");
  if (await waitProcessGone(handle, KILL_TIMEOUT_MS)) return;
  throw new TestHostError(`QEMU (pid ${handle.pid}) does not end`);
}

function logPath(runPath: string): string {
  return join(runPath, "qemu.log");
}

function ended(options: StartOptions): TestHostError {
  const said = lastLines(readText(logPath(options.runPath)));
  return new TestHostError(`QEMU did not start: ${said || "it said nothing"}`, {
    hint: `install it: apt-get install qemu-system-x86`,
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-20).join("\n");
}
