// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";
import { parseSignal } from "../io/signals.ts";
import { printLine } from "../output/print.ts";

export function addKillCommand(program: Command): void {
  program
    .command("kill")
    .description("send a signal to a running container")
    .argument("<containers...>")
    .option("-s, --signal <signal>", "name or number", "KILL")
    .action(async (containers: string[], options: { signal: string }) => {
      requireRoot("kill");
      const signal = parseSignal(options.signal);
      const { findContainer } = await import("../container/store.ts");
      const { connectToRunning } = await import("../shim/task-client.ts");
      for (const nameOrId of containers) {
        const { id } = findContainer(nameOrId);
        const task = await connectToRunning(id);
        try {
          await task.kill({ id }, signal, { all: false });
        } finally {
          task.close();
        }
        printLine(nameOrId);
      }
    });
}
