// SPDX-License-Identifier: Apache-2.0
import { setPriority } from "node:os";
import { asMukonError } from "../../errors/mukon-error.ts";
import { type BuildTemplateRequest, buildTemplate, keyFor, removeStaleTemplates } from "./build.ts";
import { lastFailureMs, noteFailure } from "./failures.ts";

/** Guests cannot be cloned here, perhaps; nobody wants to find that out again at every pod. */
const PAUSE_AFTER_FAILURE_MS = 3_600_000;
/** Somebody else is making one already: the next pod that boots asks again. */
const LOCK_TIMEOUT_MS = 50;
/** Pods of many sizes must not fill the disk: each template takes a hundred megabytes or more. */
const MOST_TEMPLATES = 8;
const LOWEST_PRIORITY = 19;

/**
 * Makes a template that nobody has asked for by hand: without getting into the way of pods, one at a
 * time on this host, and not again for an hour when it has failed.
 */
export async function buildInBackground(request: BuildTemplateRequest): Promise<void> {
  setPriority(LOWEST_PRIORITY);
  const key = await keyFor(request.configuration);
  if (Date.now() - lastFailureMs(key) < PAUSE_AFTER_FAILURE_MS) return;
  try {
    await buildTemplate({ ...request, lockTimeoutMs: LOCK_TIMEOUT_MS });
    await removeStaleTemplates(MOST_TEMPLATES);
  } catch (error) {
    const { code, message } = asMukonError(error);
    if (code !== "LOCK_TIMEOUT") noteFailure(key, message);
  }
}
