// SPDX-License-Identifier: Apache-2.0
import { rmSync, statSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { asMukonError } from "../../errors/mukon-error.ts";
import { templatesDirectory } from "../../linux/paths.ts";
import { type BuildTemplateRequest, buildTemplate, keepTemplates, keyFor } from "./build.ts";

/** A guest cannot be cloned today, perhaps; nobody wants to know that again at every pod. */
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
  if (hasFailedLately(key)) return;
  try {
    await buildTemplate({ ...request, lockTimeoutMs: LOCK_TIMEOUT_MS });
    rmSync(failureMark(key), { force: true });
    await keepTemplates(MOST_TEMPLATES);
  } catch (error) {
    const { code, message } = asMukonError(error);
    if (code !== "LOCK_TIMEOUT") writeFileSync(failureMark(key), `${message}\n`, { mode: 0o600 });
  }
}

function hasFailedLately(key: string): boolean {
  const failedAtMs = statSync(failureMark(key), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return Date.now() - failedAtMs < PAUSE_AFTER_FAILURE_MS;
}

function failureMark(key: string): string {
  return join(templatesDirectory(), `.failed-${key}`);
}
