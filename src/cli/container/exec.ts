// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { attach } from "../io/attach.ts";
import { makeFifos, removeFifos } from "../io/fifos.ts";
import { enterRawMode, requireTerminal } from "../io/terminal.ts";
import { printNote } from "../output/print.ts";
import { connectToRunning, type TaskClient } from "../shim/task-client.ts";
import { execProcess, type RawExecOptions } from "./exec-process.ts";
import { bundlePaths } from "./paths.ts";
import { sayLoss } from "./say-loss.ts";
import { findContainer } from "./store.ts";
import { forwardSignals } from "./wait.ts";

const SIGKILL = 9;

/** `mukon exec`: returns the exit code of the process. */
export async function execInContainer(
  nameOrId: string,
  command: string[],
  raw: RawExecOptions,
): Promise<number> {
  const { id } = findContainer(nameOrId);
  const terminal =
    raw.tty ?? Boolean(raw.interactive && process.stdin.isTTY && process.stdout.isTTY);
  if (raw.tty === true) requireTerminal();
  const target = { id, execId: `exec-${randomBytes(6).toString("hex")}` };
  const spec = execProcess(id, command, { ...raw, tty: terminal });
  const task = await connectToRunning(id);
  const directory = `${bundlePaths(id).directory}/${target.execId}`;
  try {
    const streams = await makeFifos(directory, { stdin: raw.interactive ?? false, terminal });
    const attachment = attach({
      paths: streams,
      onInputEnd: () => void task.closeInput(target).catch(() => {}),
      onOutputClosed: () => void task.kill(target, SIGKILL, { all: false }).catch(() => {}),
    });
    try {
      await task.exec({ ...target, terminal, streams, spec });
      attachment.beginInput();
      return await runToEnd({ task, target, terminal, drain: () => attachment.drain() });
    } finally {
      attachment.close();
    }
  } finally {
    removeFifos(directory);
    task.close();
  }
}

interface Registered {
  task: TaskClient;
  target: { id: string; execId: string };
  terminal: boolean;
  drain(): Promise<void>;
}

async function runToEnd({ task, target, terminal, drain }: Registered): Promise<number> {
  const leaveRawMode = terminal ? enterRawMode() : () => {};
  let stop = (): void => {};
  try {
    const ended = task.wait(target);
    ended.catch(() => {});
    await task.start(target);
    stop = forwardSignals({ task, process: target, terminal });
    const { status } = await ended;
    await drain();
    leaveRawMode();
    await sayLoss(task, { id: target.id, status });
    return status;
  } finally {
    stop();
    leaveRawMode();
    await task.delete(target).catch((error: Error) => printNote(`mukon: ${error.message}`));
  }
}
