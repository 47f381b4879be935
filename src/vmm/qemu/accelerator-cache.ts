// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, type Stats, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as v from "valibot";
import type { ProbeRequest } from "./probe-request.ts";

const BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id";

/** What a probe found out: how QEMU gets at KVM, or why it cannot use it. */
const Outcome = v.union([
  v.object({ access: v.picklist(["descriptor", "group"]) }),
  v.object({ failure: v.string() }),
]);
export type ProbeOutcome = v.InferOutput<typeof Outcome>;
const Answer = v.object({ key: v.string(), outcome: Outcome });

/** The answer of an earlier probe under the same conditions. */
export function recallAccelerator(request: ProbeRequest, node: Stats): ProbeOutcome | undefined {
  if (request.cachePath === undefined) return undefined;
  try {
    const answer = v.parse(Answer, JSON.parse(readFileSync(request.cachePath, "utf8")));
    return answer.key === conditions(request, node) ? answer.outcome : undefined;
  } catch {
    // None, or half of one: the probe is run again.
    return undefined;
  }
}

/** Keeps an answer; a place that cannot be written costs a probe each time and nothing else. */
export function rememberAccelerator(
  request: ProbeRequest,
  node: Stats,
  outcome: ProbeOutcome,
): void {
  if (request.cachePath === undefined) return;
  const temporary = `${request.cachePath}.${process.pid}`;
  try {
    mkdirSync(dirname(request.cachePath), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, JSON.stringify({ key: conditions(request, node), outcome }), {
      mode: 0o600,
    });
    renameSync(temporary, request.cachePath);
  } catch {
    // Nothing to do about it here.
  }
}

/** All that the answer depends on: this boot, the node, QEMU, the guest and the processor. */
function conditions(request: ProbeRequest, node: Stats): string {
  const facts = [
    readFileSync(BOOT_ID_PATH, "utf8").trim(),
    [node.mode, node.uid, node.gid, node.rdev],
    [request.qemuPath, request.kernelPath, request.initrdPath].map(fileFacts),
    request.cpuFeatures ?? "",
    request.kvmAccess,
  ];
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}

function fileFacts(path: string): unknown {
  const { ino, size, mtimeMs } = statSync(path);
  return [path, ino, size, mtimeMs];
}
