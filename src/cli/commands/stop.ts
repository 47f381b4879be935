// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { parseDuration } from "../io/quantities.ts";
import { requireRoot } from "../io/root.ts";
import { printLine } from "../output/print.ts";

export function addStopCommand(program: Command): void {
  program
    .command("stop")
    .description("end a running container: its stop signal first, then a kill")
    .argument("<containers...>")
    .option("-t, --time <time>", "how long to wait before the kill", "10s")
    .action(async (containers: string[], options: { time: string }) => {
      requireRoot("stop");
      const graceMs = parseDuration("--time", options.time);
      const { stopContainer } = await import("../container/stop.ts");
      for (const nameOrId of containers) {
        await stopContainer(nameOrId, graceMs);
        printLine(nameOrId);
      }
    });
}
