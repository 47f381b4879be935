// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";
import { printJson, printLine } from "../output/print.ts";

export function addGcCommand(program: Command): void {
  program
    .command("gc")
    .description("clean up after programs that were killed: pods, users, sockets, bundles")
    .option("--json", "as JSON")
    .action(async (options: { json?: boolean }) => {
      requireRoot("gc");
      const { collectGarbage } = await import("../../host/gc/collect.ts");
      const { collectBundles } = await import("../container/gc.ts");
      const { sweepWorkspaces } = await import("../../images/workspace.ts");
      await sweepWorkspaces();
      const removed = [...(await collectGarbage()), ...(await collectBundles())];
      if (options.json === true) return printJson(removed);
      for (const item of removed) printLine(`removed ${item}`);
      if (removed.length === 0) printLine("nothing to clean up");
    });
}
