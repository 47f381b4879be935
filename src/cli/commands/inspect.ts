// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";
import { printJson } from "../output/print.ts";

export function addInspectCommand(program: Command): void {
  program
    .command("inspect")
    .description("everything known about containers, as JSON")
    .argument("<containers...>")
    .action(async (containers: string[]) => {
      requireRoot("inspect");
      const { findContainer } = await import("../container/store.ts");
      const { containerState } = await import("../container/state.ts");
      const { bundlePaths } = await import("../container/paths.ts");
      const { readSandboxState } = await import("../../host/sandbox-state.ts");
      const { readFileSync } = await import("node:fs");
      const found = [];
      for (const nameOrId of containers) {
        const record = findContainer(nameOrId);
        const paths = bundlePaths(record.id);
        found.push({
          ...record,
          state: await containerState(record.id),
          bundle: paths.directory,
          sandbox: readSandboxState(record.id),
          spec: JSON.parse(readFileSync(paths.config, "utf8")),
        });
      }
      printJson(found);
    });
}
