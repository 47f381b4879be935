// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { now } from "../src/logging/moments.ts";
import type { Moments } from "./moments.ts";

/** Of what a failed command has said, at its end. */
const SHOWN_CHARACTERS = 4_000;
/** What `mukon run` takes to undo a start, on a machine that undoes ten at once. */
const GRACE_MS = 60_000;

/** One start: milliseconds since that of the command. */
export interface Sample {
  outputMs: number;
  endMs: number;
  /** Empty for what is not mukon. */
  moments: Moments;
}

interface Wanted {
  marker: string;
  /** Asks the command to end, once; nothing is returned before it has. */
  signal: AbortSignal;
  env?: NodeJS.ProcessEnv;
}

/**
 * Runs a command to its end, and takes note of when `marker` was seen.
 * @throws Error with the whole command and what it said, when it fails or does not print the marker
 */
export async function timeToOutput(
  argv: readonly string[],
  { marker, signal, env = process.env }: Wanted,
): Promise<Sample & { beganAt: number }> {
  signal.throwIfAborted();
  const [program = "", ...args] = argv;
  const beganAt = now();
  // In a group of its own: Ctrl-C reaches it once, from here, and no second one kills what cleans up.
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env, detached: true });
  const said = { output: "", errors: "" };
  let outputMs: number | undefined;
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.errors += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.output += text;
    if (said.output.includes(marker)) outputMs ??= now() - beganAt;
  });
  const how = await ended(child, signal);
  signal.throwIfAborted();
  if (how !== undefined || outputMs === undefined) {
    const text = `${said.output}${said.errors}`.trim().slice(-SHOWN_CHARACTERS);
    const why = how ?? `ended without having printed "${marker}"`;
    throw new Error(`${argv.join(" ")}\n${why}. It said:\n${text || "(nothing)"}`);
  }
  return { outputMs, endMs: now() - beganAt, moments: new Map(), beganAt };
}

/** How it failed; undefined: it did not. */
async function ended(child: ChildProcess, signal: AbortSignal): Promise<string | undefined> {
  let patience: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill("SIGTERM");
    patience = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await new Promise((resolve) => {
      child.once("error", ({ message }) => resolve(`could not be started: ${message}`));
      child.once("close", (code, name) => {
        if (code === 0) resolve(undefined);
        else resolve(code === null ? `was killed by ${name}` : `failed with exit code ${code}`);
      });
    });
  } finally {
    signal.removeEventListener("abort", stop);
    clearTimeout(patience);
  }
}
