// SPDX-License-Identifier: Apache-2.0
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import type { OciHook } from "../../guest-protocol/oci/hooks.ts";
import { run } from "../../linux/run.ts";

const MAX_OUTPUT_BYTES = 1024 * 1024;
const MS_PER_SECOND = 1000;

/** What a hook reads of its container; `runtime.md#state` of the OCI runtime specification. */
export interface HookState {
  ociVersion: string;
  id: string;
  status: "creating" | "running" | "stopped";
  /** A process in the container's network namespace; none for one that has stopped. */
  pid?: number;
  bundle: string;
  annotations: Readonly<Record<string, string>>;
}

/**
 * Runs a program that the spec's author wants to have run on the host, to its end.
 * @throws HOOK_FAILED, with what it said
 */
export async function runHook(moment: string, hook: OciHook, state: HookState): Promise<void> {
  const { path, args = [], env, timeout } = hook;
  const [name = path, ...rest] = args;
  try {
    await run([path, ...rest], {
      argv0: name,
      input: JSON.stringify(state),
      cwd: state.bundle,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      ...(env === undefined ? {} : { env: environmentOf(env), isEnvWhole: true }),
      ...(timeout === undefined ? {} : { timeoutMs: timeout * MS_PER_SECOND }),
    });
  } catch (cause) {
    throw new MukonError(
      "HOOK_FAILED",
      `the ${moment} hook ${path} of container ${state.id}: ${asMukonError(cause).message}`,
      { hint: "it belongs to the client (Docker, nerdctl, …), whose log may say more", cause },
    );
  }
}

/** What has no "=" is no variable that a program could be given by Node. */
function environmentOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines.flatMap((line) => {
      const end = line.indexOf("=");
      return end <= 0 ? [] : [[line.slice(0, end), line.slice(end + 1)]];
    }),
  );
}
