// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { parseDuration } from "../io/quantities.ts";

/** Hidden: what `mukon run -d` leaves behind for `--rm`, `--timeout` and `-i`. */
export function addMonitorCommand(program: Command): void {
  program
    .command("monitor", { hidden: true })
    .argument("<container>")
    .option("--timeout <time>")
    .action(async (container: string, raw: { timeout?: string }) => {
      const { monitorContainer } = await import("../container/monitor.ts");
      const timeoutMs =
        raw.timeout === undefined ? undefined : parseDuration("--timeout", raw.timeout);
      await monitorContainer(container, timeoutMs);
    });
}
