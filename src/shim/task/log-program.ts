// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { MukonError } from "../../errors/mukon-error.ts";
import { makePipe } from "../../linux/pipe.ts";

export const BINARY_SCHEME = "binary://";
const READY_TIMEOUT_MS = 30_000;
/** How long the end of a process may come after that of its descriptors. */
const EXIT_NOTICE_MS = 20;
/** To end by itself at the end of its input; then to end when it is told to. 12 s as in containerd. */
const END_MS = { byItself: 2_000, afterTerm: 10_000 };

export interface LogProgramRequest {
  /** `binary:///path?key=value&…` */
  uri: string;
  containerId: string;
  namespace: string;
}

/** A program of the client's that takes the output of one process, and its inputs. */
export interface LogProgram {
  /** Close them once the keeper has copies: their end is the program's end. */
  stdoutFd: number;
  stderrFd: number;
  /** Resolves when the program has ended; it is made to, if need be. Idempotent; never rejects. */
  end(): Promise<void>;
}

/**
 * Starts the program of a `binary://` stream as containerd does: keys and values are its arguments,
 * descriptors 3 and 4 its inputs, and 5 is closed (or written to) when it is ready. It has the
 * rights of whoever asked for it, who could have started it without us: containerd's.
 * @throws STDIO_UNUSABLE, STDIO_UNSUPPORTED
 */
export async function startLogProgram(request: LogProgramRequest): Promise<LogProgram> {
  const [path, args] = parseBinaryUri(request.uri);
  const pipes = [makePipe(), makePipe(), makePipe()] as const;
  const [stdout, stderr, ready] = pipes;
  let child: ChildProcess;
  try {
    child = spawn(path, args, {
      stdio: ["ignore", "ignore", "ignore", stdout.readFd, stderr.readFd, ready.writeFd],
      env: { CONTAINER_ID: request.containerId, CONTAINER_NAMESPACE: request.namespace },
      cwd: "/",
      detached: true,
    });
  } catch (error) {
    // Most reasons are told later, some at once.
    for (const { readFd, writeFd } of pipes) for (const fd of [readFd, writeFd]) closeSync(fd);
    throw unusable(request.uri, error instanceof Error ? error.message : String(error));
  }
  const ended = endOf(child);
  for (const fd of [stdout.readFd, stderr.readFd, ready.writeFd]) closeSync(fd);
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ending ??= endProgram(child, ended);
    return ending;
  };
  const why = await awaitReady(child, ended, ready.readFd);
  if (why === undefined) return { stdoutFd: stdout.writeFd, stderrFd: stderr.writeFd, end };
  for (const { writeFd } of [stdout, stderr]) closeSync(writeFd);
  void end();
  throw unusable(request.uri, why);
}

/** Path and arguments; of a key that is there more than once the first value counts, as in Go. */
export function parseBinaryUri(uri: string): [path: string, args: string[]] {
  let url: URL;
  let path: string;
  try {
    url = new URL(uri);
    path = decodeURIComponent(url.pathname);
  } catch {
    throw unusable(uri, "it is no URI");
  }
  if (url.host !== "" || !path.startsWith("/") || path.includes("\0")) {
    throw unusable(
      uri,
      "the path of the program is not absolute: binary:///path/of/program?key=value",
    );
  }
  const keys = [...new Set(url.searchParams.keys())];
  return [path, keys.flatMap((key) => [key, url.searchParams.get(key) ?? ""])];
}

/** Says how it has ended; never rejects. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((done) => {
    child.once("error", (error) => done(error.message));
    child.once("exit", (code, signal) =>
      done(signal === null ? `it ended with exit code ${code}` : `it was killed by ${signal}`),
    );
  });
}

/** Undefined once it is ready; else why it is not. Takes the descriptor over. */
async function awaitReady(
  child: ChildProcess,
  ended: Promise<string>,
  readyFd: number,
): Promise<string | undefined> {
  const pipe = new Socket({ fd: readyFd, readable: true, writable: false });
  const patience = new AbortController();
  const isReady = new Promise<undefined>((done) => {
    pipe.once("data", () => done(undefined));
    pipe.once("close", () => done(undefined));
    pipe.once("error", () => done(undefined));
  });
  const isLate = delay(READY_TIMEOUT_MS, undefined, { signal: patience.signal }).then(
    () => `it is not ready after ${READY_TIMEOUT_MS} ms`,
    () => undefined,
  );
  try {
    const why = await Promise.race([isReady, isLate]);
    if (why !== undefined) return why;
    // A program that could not be started, or has failed, has closed its descriptors too.
    if (child.pid === undefined) return await ended;
    return await Promise.race([ended.then(failure), delay(EXIT_NOTICE_MS, undefined)]);
  } finally {
    patience.abort();
    pipe.destroy();
  }
}

/** One that ends well without a word is odd, but no failure. */
function failure(how: string): string | undefined {
  return how === "it ended with exit code 0" ? undefined : how;
}

async function endProgram(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (await isOver(ended, END_MS.byItself)) return;
  child.kill("SIGTERM");
  if (await isOver(ended, END_MS.afterTerm)) return;
  child.kill("SIGKILL");
  await ended;
}

async function isOver(ended: Promise<string>, timeoutMs: number): Promise<boolean> {
  const patience = new AbortController();
  const late = delay(timeoutMs, false, { signal: patience.signal }).catch(() => false);
  const over = await Promise.race([ended.then(() => true), late]);
  patience.abort();
  return over;
}

function unusable(uri: string, why: string): MukonError {
  return new MukonError("STDIO_UNUSABLE", `the log program of ${uri} is unusable: ${why}`, {
    hint: "try it by hand: it reads descriptors 3 and 4, and closes 5 when it is ready",
  });
}
