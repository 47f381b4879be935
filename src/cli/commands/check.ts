// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";
import { printJson, printLine } from "../output/print.ts";
import { formatTable } from "../output/table.ts";

/** The exit code when something is lacking. */
const LACKING = 1;

export function addCheckCommand(program: Command): void {
  program
    .command("check")
    .description("what this host lacks, with one remedy each")
    .option("--fix", "give /dev/kvm its group and mode, for good (a udev rule)")
    .option("--config <file>", "configuration.toml to use")
    .option("--json", "as JSON")
    .action(async (options: { fix?: boolean; config?: string; json?: boolean }) => {
      requireRoot("check");
      const { checkThisHost } = await import("../container/check.ts");
      const results = await checkThisHost({ fix: options.fix ?? false, path: options.config });
      if (options.json === true) printJson(results);
      else {
        const rows = results.map(({ name, status, message }) => [name, status, message]);
        printLine(formatTable(["CHECK", "RESULT", "WHAT"], rows));
        for (const { name, remedy } of results) {
          if (remedy !== undefined) printLine(`${name}: ${remedy}`);
        }
      }
      if (results.some(({ status }) => status === "failed")) process.exitCode = LACKING;
    });
}
