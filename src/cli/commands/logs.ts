// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";

export function addLogsCommand(program: Command): void {
  program
    .command("logs")
    .description("print what a container has written")
    .argument("<container>")
    .option("-f, --follow", "go on until it ends")
    .action(async (container: string, options: { follow?: boolean }) => {
      requireRoot("logs");
      const { printLogs } = await import("../container/logs.ts");
      await printLogs(container, { follow: options.follow ?? false });
    });
}
