// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

// A template that is made in the background would be taken for something left behind.
process.env.MUKON_BUILD_TEMPLATES ??= "never";

const repository = join(import.meta.dirname, "..", "..");

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface MukonOptions {
  input?: string | Buffer;
  env?: NodeJS.ProcessEnv;
  /** Default: two minutes. */
  timeoutMs?: number;
  /** A command that runs it, such as `unshare --mount --`. */
  under?: readonly string[];
}

/** The command line under test, as an argument vector. */
export const MUKON = [process.execPath, "--", join(repository, "dist", "mukon.cjs")];

/** Runs `mukon ARGS…` to its end. */
export async function mukon(args: readonly string[], options: MukonOptions = {}): Promise<Outcome> {
  const child = startMukon(args, options);
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input ?? "");
  return outcomeOf(child, options.timeoutMs ?? 120_000);
}

/** Starts `mukon ARGS…` with pipes; its standard input stays open. */
export function startMukon(args: readonly string[], options: MukonOptions = {}): ChildProcess {
  const [program = "node", ...rest] = [...(options.under ?? []), ...MUKON];
  return spawn(program, [...rest, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
  });
}

/** Collects what a child prints until it ends; kills it when it takes too long. */
export async function outcomeOf(child: ChildProcess, timeoutMs = 120_000): Promise<Outcome> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout?.on("data", (chunk: Buffer) => chunks.stdout.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => chunks.stderr.push(chunk));
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((done) => {
    child.once("close", (...end) => done(end));
  });
  clearTimeout(timer);
  return {
    code,
    signal,
    stdout: Buffer.concat(chunks.stdout).toString(),
    stderr: Buffer.concat(chunks.stderr).toString(),
  };
}

/** Waits until `stream` has printed `text`; rejects when the child ends before. */
export async function waitForOutput(
  child: ChildProcess,
  text: string,
  timeoutMs = 60_000,
): Promise<string> {
  let seen = "";
  return new Promise((done, fail) => {
    const timer = setTimeout(
      () => fail(new Error(`no ${JSON.stringify(text)} in ${JSON.stringify(seen)}`)),
      timeoutMs,
    );
    child.stdout?.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      if (!seen.includes(text)) return;
      clearTimeout(timer);
      done(seen);
    });
    child.once("close", () => {
      clearTimeout(timer);
      fail(new Error(`ended without ${JSON.stringify(text)}: ${JSON.stringify(seen)}`));
    });
  });
}
