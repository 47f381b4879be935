// SPDX-License-Identifier: Apache-2.0
import { asMukonError } from "../../errors/mukon-error.ts";
import { auditSandbox } from "../../host/audit/audit.ts";
import type { AuditReport } from "../../host/audit/types.ts";
import { listSandboxes } from "../../host/sandbox-state.ts";
import { findContainer } from "./store.ts";

/** Reports on one pod, or on all of them, containerd's too. */
export async function auditPods(nameOrKey: string | undefined): Promise<AuditReport[]> {
  if (nameOrKey !== undefined) return [await auditSandbox(keyOf(nameOrKey))];
  const reports: AuditReport[] = [];
  for (const key of listSandboxes()) {
    try {
      reports.push(await auditSandbox(key));
    } catch (error) {
      // Not complete yet, or gone since it was listed.
      if (asMukonError(error).code !== "SANDBOX_NOT_FOUND") throw error;
    }
  }
  return reports;
}

function keyOf(nameOrKey: string): string {
  if (listSandboxes().includes(nameOrKey)) return nameOrKey;
  return findContainer(nameOrKey).id;
}
