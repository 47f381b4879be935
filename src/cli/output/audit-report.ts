// SPDX-License-Identifier: Apache-2.0
import type { AuditedProcess, AuditReport, Verdict } from "../../host/audit/types.ts";
import { formatTable } from "./table.ts";

const HEADER = [
  "ROLE",
  "PID",
  "USER",
  "UID",
  "GID",
  "GROUPS",
  "CAPS",
  "NNP",
  "SECCOMP",
  "OWN NAMESPACES",
  "ROOT",
  "DEVICES",
  "P1",
  "P2",
  "P3",
];
const PROMISES = [
  "P1 no root, no capability, no way to gain one",
  "P2 nothing shared with another pod",
  "P3 no permission of the host loosened",
].join("; ");

/** A table of the pod's processes, then every broken promise in full. */
export function formatReport(report: AuditReport): string {
  const accelerator = report.accelerator ?? "unknown accelerator";
  const lines = [
    `Sandbox ${report.key} (${report.hypervisor}, ${accelerator}, ${report.rootless ? "rootless" : "NOT rootless"})`,
    formatTable(HEADER, report.processes.map(row)),
    ...report.ended.map((role) => `The ${role} has ended.`),
    ...report.processes.flatMap(broken),
    report.isKept ? `All promises are kept: ${PROMISES}.` : `A promise is BROKEN: ${PROMISES}.`,
  ];
  return lines.join("\n");
}

function row(process: AuditedProcess): string[] {
  const { verdicts } = process;
  return [
    process.role,
    String(process.pid),
    process.userName,
    String(process.uid),
    String(process.gid),
    process.groups.join(",") || "-",
    capabilities(process),
    process.noNewPrivileges ? "yes" : "no",
    String(process.seccomp),
    ownNamespaces(process),
    process.root,
    process.devices,
    short(verdicts.P1),
    short(verdicts.P2),
    short(verdicts.P3),
  ];
}

/** "none" only when every set is empty, the bounding set too. */
function capabilities({ capabilities: sets }: AuditedProcess): string {
  if (Object.values(sets).every((mask) => BigInt(`0x${mask}`) === 0n)) return "none";
  return `${sets.effective.replace(/^0+(?=.)/, "")}/${sets.bounding.replace(/^0+(?=.)/, "")}`;
}

function ownNamespaces({ namespaces }: AuditedProcess): string {
  const own = Object.entries(namespaces).filter(([, kind]) => kind === "own");
  return own.map(([name]) => name).join(",") || "-";
}

function short(verdict: Verdict): string {
  return verdict.startsWith("broken") ? "BROKEN" : verdict;
}

function broken(process: AuditedProcess): string[] {
  return Object.entries(process.verdicts)
    .filter(([, verdict]) => verdict.startsWith("broken"))
    .map(([promise, verdict]) => `${promise} of ${process.role} ${process.pid}: ${verdict}`);
}
