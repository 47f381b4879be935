// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { MukonError } from "../errors/mukon-error.ts";
import { packageOf } from "./packages.ts";

const DEFAULT_MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface RunOptions {
  /** Written to standard input, which is closed after it; default: an empty input. */
  input?: string | Buffer;
  timeoutMs?: number;
  /** The whole environment but PATH; default: nothing else. */
  env?: NodeJS.ProcessEnv;
  /** Without PATH too, then. */
  isEnvWhole?: boolean;
  /** The name that the program is called by; default: its path. */
  argv0?: string;
  cwd?: string;
  /** Descriptors for 3 and up in the child. */
  descriptors?: readonly number[];
  /** More output than this, on one stream, kills the program. */
  maxOutputBytes?: number;
  /** Return a result for an exit code other than 0 too. */
  allowFailure?: boolean;
  signal?: AbortSignal;
}

export interface RunResult {
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program to its end. No shell is involved.
 * @throws COMMAND_NOT_FOUND, COMMAND_FAILED, COMMAND_TIMEOUT, COMMAND_OUTPUT_TOO_LONG
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new MukonError("COMMAND_NOT_FOUND", "no program was named");
  if (options.cwd !== undefined && !existsSync(options.cwd)) {
    throw new MukonError("COMMAND_FAILED", `cannot start ${program} in ${options.cwd}: not there`);
  }
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.isEnvWhole
      ? options.env
      : { PATH: process.env.PATH ?? DEFAULT_PATH, ...options.env },
    ...(options.argv0 === undefined ? {} : { argv0: options.argv0 }),
    stdio: ["pipe", "pipe", "pipe", ...(options.descriptors ?? [])],
  });
  const result = await settle(child, argv, options);
  if (result.code === 0 || options.allowFailure === true) return result;
  throw failure(argv, result);
}

async function settle(
  child: ChildProcess,
  argv: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  let trouble: MukonError | undefined;
  const stop = (error: MukonError): void => {
    trouble ??= error;
    child.kill("SIGKILL");
    // A grandchild may hold the other ends; it is not waited for.
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  const limit = options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT_BYTES;
  const tooLong = (): void =>
    stop(new MukonError("COMMAND_OUTPUT_TOO_LONG", `${argv[0]} printed more than ${limit} bytes`));
  const stdout = collect(child.stdout, limit, tooLong);
  const stderr = collect(child.stderr, limit, tooLong);
  // The program may end without reading its input.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input);
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => stop(timeoutError(argv, options.timeoutMs ?? 0)), options.timeoutMs);
  const abort = (): void => stop(new MukonError("COMMAND_ABORTED", `${argv[0]} was stopped`));
  options.signal?.addEventListener("abort", abort, { once: true });
  if (options.signal?.aborted) abort();
  try {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>(
      (done, fail) => {
        child.once("error", (cause) => fail(startError(argv, cause)));
        child.once("close", (...end) => done(end));
      },
    );
    if (trouble !== undefined) throw trouble;
    return { code, signal, stdout: stdout(), stderr: stderr() };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", abort);
  }
}

function collect(
  stream: NodeJS.ReadableStream | null,
  limit: number,
  tooLong: () => void,
): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  stream?.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length > limit) tooLong();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

function failure(argv: readonly string[], result: RunResult): MukonError {
  const how =
    result.code === null
      ? `was killed by ${result.signal}`
      : `failed with exit code ${result.code}`;
  const said = (result.stderr.trim() || result.stdout.trim()).slice(-2000);
  return new MukonError("COMMAND_FAILED", `${argv[0]} ${how}${said === "" ? "" : `: ${said}`}`, {
    details: { argv: [...argv], code: result.code, signal: result.signal, stderr: said },
  });
}

function timeoutError(argv: readonly string[], timeoutMs: number): MukonError {
  return new MukonError("COMMAND_TIMEOUT", `${argv[0]} did not end within ${timeoutMs} ms`, {
    details: { argv: [...argv] },
  });
}

function startError(argv: readonly string[], cause: Error): MukonError {
  const program = argv[0] ?? "";
  if ((cause as NodeJS.ErrnoException).code !== "ENOENT") {
    return new MukonError("COMMAND_FAILED", `cannot start ${program}: ${cause.message}`, { cause });
  }
  const name = packageOf(program);
  return new MukonError("COMMAND_NOT_FOUND", `${program} is not installed, or not in PATH`, {
    hint: name === undefined ? "install it" : `install it: apt-get install ${name}`,
    cause,
  });
}
