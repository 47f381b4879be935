// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { type Moment, parseCalls, type TracedCall } from "./calls.ts";

/**
 * What leaves something on a host, or takes it away. What happens between two of these calls nobody
 * can tell from the host: to be killed right before each of them is to be killed at any time.
 */
const CHANGING = [
  ...["mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2"],
  ...["symlink", "symlinkat", "link", "linkat", "mknod", "mknodat", "openat", "ftruncate"],
  ...["chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "write"],
  ...["mount", "umount2", "move_mount", "open_tree", "mount_setattr", "pivot_root", "unshare"],
  ...["clone", "clone3", "fork", "vfork", "execve", "bind", "ioctl", "sendto", "sendmsg"],
  ...["pidfd_send_signal", "kill"],
];
const ATTACH_TIMEOUT_MS = 20_000;

/** Why nothing can be killed or failed at a system call here, or false. */
export const cannotTrace = existsSync("/usr/bin/strace")
  ? false
  : "needs the Debian package strace, which stops a program at its system calls";

/** What happens to the thread that comes to a moment first. */
export type Interference = { signal: "SIGKILL" | "SIGTERM" } | { errorName: string };

export interface TraceRequest {
  /** Where strace writes what it sees. */
  output: string;
  /** Nothing: the calls are written down only. */
  at?: Moment;
  interference?: Interference;
}

/**
 * strace(1) on the first thread of a process that runs: the programs under test know nothing of it, and
 * need no door for it. Its other threads and all that it starts go on at their own pace, uncounted.
 */
export class Tracer {
  readonly #child: ChildProcess;
  readonly #output: string;

  private constructor(child: ChildProcess, output: string) {
    this.#child = child;
    this.#output = output;
  }

  static async attach(pid: number, request: TraceRequest): Promise<Tracer> {
    const argv = [...traceArguments(request), "-p", String(pid)];
    const child = spawn("strace", argv, { stdio: ["ignore", "ignore", "pipe"], env: ENVIRONMENT });
    await attached(child);
    return new Tracer(child, request.output);
  }

  /**
   * Lets go of what still runs, and tells what was seen. Not by SIGTERM: strace would wait then for what
   * is dying, and keep the first process of a pid namespace from it.
   */
  async end(): Promise<TracedCall[]> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = new Promise((done) => this.#child.once("exit", done));
      this.#child.kill("SIGKILL");
      await ended;
    }
    return readCalls(this.#output);
  }
}

/** A command that traces the first thread of a program, from its first instruction on, and no child. */
export function traced(request: TraceRequest): string[] {
  return ["strace", ...traceArguments(request), "--"];
}

export function readCalls(output: string): TracedCall[] {
  return parseCalls(readFileSync(output, "utf8"));
}

/** Without the one of the tests, by which what they leave is told from other things. */
const ENVIRONMENT = { PATH: process.env.PATH };

function traceArguments({ output, at, interference }: TraceRequest): string[] {
  const common = ["-s", "200", "-o", output, "-e", `trace=${CHANGING.join(",")}`];
  if (at === undefined || interference === undefined) return common;
  const what =
    "signal" in interference ? `signal=${interference.signal}` : `error=${interference.errorName}`;
  const about = at.path === undefined ? [] : ["-P", at.path];
  return [...common, ...about, "-e", `inject=${at.name}:${what}:when=${at.count}`];
}

async function attached(child: ChildProcess): Promise<void> {
  let said = "";
  await new Promise<void>((done, fail) => {
    const timer = setTimeout(
      () => fail(new Error(`strace did not attach: ${said}`)),
      ATTACH_TIMEOUT_MS,
    );
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (!said.includes("attached")) return;
      clearTimeout(timer);
      done();
    });
    child.once("exit", () => fail(new Error(`strace ended: ${said}`)));
  });
}
