// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import { asMukonError, MukonError } from "../errors/mukon-error.ts";
import type { LaunchedProcess } from "../host/launcher/types.ts";

/** What a process says when it ends arrives a moment after its sockets have ended. */
const LAST_WORDS_MS = 300;
const MAX_CHARACTERS = 1000;
const NO_MEMORY = /Cannot allocate memory/i;

/**
 * Why a guest did not come up, with what its VMM has said: the keeper only sees that a VMM that ended
 * itself is gone. The words are those of an untrusted process.
 */
export async function withLastWords(error: unknown, vmm: LaunchedProcess): Promise<MukonError> {
  const known = asMukonError(error);
  if (known.code !== "GUEST_BOOT_FAILED") return known;
  const { child, stderrTail } = vmm;
  const ended = new Promise((done) => child.once("close", done));
  if (child.exitCode === null && child.signalCode === null) {
    await Promise.race([ended, delay(LAST_WORDS_MS)]);
  }
  if (child.exitCode === null && child.signalCode === null) return known;
  const words = stderrTail().trim().slice(-MAX_CHARACTERS);
  const how = child.signalCode ?? `exit code ${child.exitCode}`;
  const said = words === "" ? "" : `, and said: ${words}`;
  return new MukonError(known.code, `${known.message} Its VMM ended (${how})${said}`, {
    hint: hintFor(words) ?? known.hint ?? "",
    details: known.details ?? {},
    cause: known,
  });
}

/** What to do about a VMM that ended with these words, where that can be told. */
export function hintFor(words: string): string | undefined {
  if (!NO_MEMORY.test(words)) return undefined;
  return "Give the pod less memory (--memory, default_memory), or free some of the host's.";
}
