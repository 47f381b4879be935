// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { MukonError } from "../../errors/mukon-error.ts";
import { readSandboxState } from "../../host/sandbox-state.ts";
import { openFifoForWriting } from "../../linux/fifo.ts";
import { noteMoment } from "../../logging/moments.ts";
import type { RunOptions } from "../commands/run-options.ts";
import { type Attachment, attach } from "../io/attach.ts";
import { makeFifos, makeInputFifo, removeFifos, type StreamPaths } from "../io/fifos.ts";
import { enterRawMode, requireTerminal } from "../io/terminal.ts";
import { printLine, printNote } from "../output/print.ts";
import { shimOptions } from "../shim/options.ts";
import { deleteShim, startShim } from "../shim/program.ts";
import { TaskClient } from "../shim/task-client.ts";
import { type Abort, abortOnSignal, throwIfAborted } from "./abort.ts";
import { checkConfiguration } from "./check-configuration.ts";
import { type CreatedBundle, createBundle } from "./create.ts";
import { bundlePaths } from "./paths.ts";
import { type ContainerExit, type ContainerRecord, writeExit } from "./record.ts";
import { deleteEndedShim, finishTask, removeBundleAndShim } from "./remove.ts";
import { sayLoss } from "./say-loss.ts";
import { scratchDirectory } from "./scratch.ts";
import { removeBundle } from "./store.ts";
import { forwardSignals } from "./wait.ts";

const SIGKILL = 9;

export interface RunInput {
  image: string;
  command: string[];
  options: RunOptions;
}

/** `mukon run`: returns the exit code of this program. */
export async function runContainer(input: RunInput): Promise<number> {
  const { options } = input;
  const terminal = wantsTerminal(options);
  const { mukon } = await checkConfiguration(options);
  let abort: Abort | undefined;
  try {
    const bundle = await createBundle(
      { ...input, terminal, scratchDirectory: scratchDirectory(mukon.scratchDirectory) },
      (id) => {
        abort = abortOnSignal(() => deleteShim(id));
      },
    );
    noteMoment("cli", "image and bundle");
    return await runBundle(bundle, options, abort);
  } finally {
    abort?.stop();
  }
}

async function runBundle(
  bundle: CreatedBundle,
  options: RunOptions,
  abort: Abort | undefined,
): Promise<number> {
  const { id, name } = bundle.record;
  let task: TaskClient | undefined;
  try {
    throwIfAborted(abort);
    const address = await startShim(id, shimOptions(options.configurationFile));
    noteMoment("cli", "shim answers");
    throwIfAborted(abort);
    task = await TaskClient.connect(address);
    if (options.detach) return await runDetached({ task, bundle, options, abort });
    return await runAttached({ task, bundle, options, abort });
  } catch (error) {
    // A shim without a pod would stay a while for its next container.
    await task?.shutdown(id).catch(() => {});
    task?.close();
    // What cannot be removed now must not hide why the run failed; mukon gc finds it.
    await removeBundleAndShim(id, name).catch((failure: Error) =>
      printNote(`mukon: ${failure.message}`),
    );
    if (abort?.signalNumber !== undefined) return 128 + abort.signalNumber;
    throw error;
  } finally {
    task?.close();
  }
}

interface Started {
  task: TaskClient;
  bundle: CreatedBundle;
  options: RunOptions;
  abort: Abort | undefined;
}

async function runDetached({ task, bundle, options, abort }: Started): Promise<number> {
  const { record } = bundle;
  const output = `file://${bundlePaths(record.id).output}`;
  const stdin = options.interactive ? await makeInputFifo(streamsDirectory(record.id)) : "";
  await create(task, bundle, { stdin, stdout: output, stderr: record.terminal ? "" : output });
  // A shell that was given an input, which nobody writes to, must not find it at its end.
  const inputFd = stdin === "" ? undefined : openFifoForWriting(stdin);
  await task.start({ id: record.id });
  abort?.stop();
  if (record.removeAtExit || options.timeoutMs !== undefined || inputFd !== undefined)
    startMonitor(record, { timeoutMs: options.timeoutMs, inputFd });
  printLine(record.id);
  return 0;
}

async function runAttached(started: Started): Promise<number> {
  const { task, bundle, options } = started;
  const { record } = bundle;
  const directory = streamsDirectory(record.id);
  const streams = await makeFifos(directory, {
    stdin: options.interactive,
    terminal: record.terminal,
  });
  const attachment = attachTo(task, record, streams);
  let leaveRawMode = (): void => {};
  try {
    await create(task, bundle, streams);
    attachment.beginInput();
    noteMoment("cli", "created");
    const exit = await (async () => {
      const ended = task.wait({ id: record.id });
      ended.catch(() => {});
      if (record.terminal) leaveRawMode = enterRawMode();
      await task.start({ id: record.id });
      noteMoment("cli", "started");
      started.abort?.stop();
      return waitAttached(started, ended);
    })();
    await attachment.drain();
    leaveRawMode();
    await sayLoss(task, { id: record.id, status: exit.status });
    noteMoment("cli", "ended");
    await finish(task, record, exit);
    noteMoment("cli", "removed");
    return exit.status;
  } finally {
    leaveRawMode();
    attachment.close();
    removeFifos(directory);
  }
}

/** Forwards signals while the container runs, and kills it at its deadline. */
async function waitAttached(
  started: Started,
  ended: Promise<ContainerExit>,
): Promise<ContainerExit> {
  const { task, bundle, options } = started;
  const target = { id: bundle.record.id };
  const stop = forwardSignals({ task, process: target, terminal: bundle.record.terminal });
  const deadline =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          const note = `mukon: killed after ${options.timeoutMs} ms (--timeout)`;
          // A terminal in raw mode does not begin a line by itself.
          printNote(bundle.record.terminal ? `\r\n${note}\r` : note);
          task.kill(target, SIGKILL, { all: true }).catch(() => {});
        }, options.timeoutMs);
  try {
    return await ended;
  } finally {
    clearTimeout(deadline);
    stop();
  }
}

function attachTo(task: TaskClient, record: ContainerRecord, paths: StreamPaths): Attachment {
  const target = { id: record.id };
  return attach({
    paths,
    copyTo: bundlePaths(record.id).output,
    onInputEnd: () => void task.closeInput(target).catch(() => {}),
    onOutputClosed: () => void task.kill(target, SIGKILL, { all: true }).catch(() => {}),
  });
}

async function create(
  task: TaskClient,
  bundle: CreatedBundle,
  streams: StreamPaths,
): Promise<void> {
  await task.create({
    id: bundle.record.id,
    bundle: bundlePaths(bundle.record.id).directory,
    mounts: bundle.mounts,
    terminal: bundle.record.terminal,
    streams,
  });
  sayAccelerator(bundle.record.id);
}

/** Emulation is many times slower than KVM, which users should not have to find out by waiting. */
function sayAccelerator(id: string): void {
  const state = readSandboxState(id);
  if (state?.accelerator !== "tcg") return;
  printNote("mukon: accelerator tcg: the VM is emulated, which is slow (more: mukon check)");
  if (state.acceleratorReason !== undefined) printNote(`  why: ${state.acceleratorReason}`);
}

/** The VM is gone when this returns; what stays without `--rm` is the record and the output. */
async function finish(
  task: TaskClient,
  record: ContainerRecord,
  exit: ContainerExit,
): Promise<void> {
  // Nobody will ask a container how it ended that is gone then; a full disk is no reason to fail.
  if (!record.removeAtExit) writeExit(record.id, exit);
  await finishTask(task, record.id);
  task.close();
  await deleteEndedShim(record.id);
  if (record.removeAtExit) removeBundle(record.id, record.name);
}

function streamsDirectory(id: string): string {
  return `${bundlePaths(id).directory}/streams`;
}

interface MonitorDuties {
  timeoutMs: number | undefined;
  /** Held open until the container ends. */
  inputFd: number | undefined;
}

/** A process that outlives this one, for what must happen when a detached container ends. */
function startMonitor(record: ContainerRecord, { timeoutMs, inputFd }: MonitorDuties): void {
  const program = process.argv[1];
  if (program === undefined)
    throw new MukonError("INTERNAL", "the path of this program is not known");
  const deadline = timeoutMs === undefined ? [] : ["--timeout", `${timeoutMs}ms`];
  const child = spawn(
    process.execPath,
    [...process.execArgv, program, "monitor", ...deadline, record.id],
    {
      detached: true,
      stdio: ["ignore", "ignore", "ignore", inputFd ?? "ignore"],
      cwd: "/",
    },
  );
  child.unref();
}

function wantsTerminal(options: RunOptions): boolean {
  if (options.terminal === true && !options.detach) requireTerminal();
  if (options.terminal !== undefined) return options.terminal;
  return (
    options.interactive && !options.detach && Boolean(process.stdin.isTTY && process.stdout.isTTY)
  );
}
