// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";
import { printJson, printLine } from "../output/print.ts";

/** The exit code when a promise is broken, apart from that of a failed command. */
const BROKEN = 1;

export function addAuditCommand(program: Command): void {
  program
    .command("audit")
    .description("every host process of a pod, what it may do, and whether the promises are kept")
    .argument("[container]", "name or id of a container, or the key of a sandbox (default: all)")
    .option("--json", "as JSON")
    .action(async (container: string | undefined, options: { json?: boolean }) => {
      requireRoot("audit");
      const { auditPods } = await import("../container/audit.ts");
      const { formatReport } = await import("../output/audit-report.ts");
      const reports = await auditPods(container);
      if (options.json === true) printJson(reports);
      else if (reports.length === 0) printLine("no sandbox is running");
      else printLine(reports.map(formatReport).join("\n\n"));
      if (reports.some((report) => !report.isKept)) process.exitCode = BROKEN;
    });
}
