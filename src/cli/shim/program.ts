// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { runRoot } from "../../linux/paths.ts";
import { run } from "../../linux/run.ts";
import { bundlePaths, NAMESPACE } from "../container/paths.ts";

/** containerd gives shims half a minute and more; ours answers in a fraction of a second. */
const START_TIMEOUT_MS = 60_000;
const DELETE_TIMEOUT_MS = 60_000;

/** The program that is asked to start and to clean up shims, as an argument vector. */
export function shimProgram(): string[] {
  const wanted = process.env.MUKON_SHIM;
  if (wanted !== undefined) return wanted.endsWith(".cjs") ? [process.execPath, wanted] : [wanted];
  const beside = join(dirname(realpathSync(process.argv[1] ?? ".")), "shim.cjs");
  return existsSync(beside) ? [process.execPath, beside] : ["containerd-shim-mukon-v2"];
}

/** Runs `… start` in the bundle, as containerd does, and returns the address that it prints. */
export async function startShim(id: string, options: Buffer): Promise<string> {
  const result = await run([...shimProgram(), ...commonArguments(id), "start"], {
    cwd: bundlePaths(id).directory,
    input: options,
    env: shimEnvironment(),
    timeoutMs: START_TIMEOUT_MS,
    allowFailure: true,
  });
  const address = result.stdout.trim();
  if (result.code === 0 && address.startsWith("unix://")) return address;
  const said = `${result.stderr}${result.stdout}`.trim().slice(0, 2000);
  throw new MukonError(
    "SHIM_START_FAILED",
    `the shim did not start: ${said || `exit code ${result.code}`}`,
    {
      hint: `its log may tell more: ${runRoot()}/sandboxes/${id}/shim.log`,
    },
  );
}

/**
 * Runs `… delete` in the bundle: removes all that a shim may have left. Safe to repeat. Where there
 * is no such program, none was started.
 */
export async function deleteShim(id: string): Promise<void> {
  const { directory } = bundlePaths(id);
  try {
    await run([...shimProgram(), ...commonArguments(id), "-bundle", directory, "delete"], {
      cwd: existsSync(directory) ? directory : "/",
      env: shimEnvironment(),
      timeoutMs: DELETE_TIMEOUT_MS,
      allowFailure: true,
    });
  } catch (error) {
    if (asMukonError(error).code !== "COMMAND_NOT_FOUND") throw error;
  }
}

/** Where the shim of a container listens, as it wrote it into its bundle. */
export function shimAddress(id: string): string | undefined {
  try {
    return readFileSync(bundlePaths(id).address, "utf8").trim();
  } catch {
    return undefined;
  }
}

function commonArguments(id: string): string[] {
  // There is no containerd behind this address; it only makes the socket's name.
  const address = join(runRoot(), "mukon.sock");
  return ["-namespace", NAMESPACE, "-address", address, "-publish-binary", "", "-id", id];
}

function shimEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => name === "PATH" || name.startsWith("MUKON_") || name === "KATA_CONF_FILE",
  );
  return Object.fromEntries(kept);
}
