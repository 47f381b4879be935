// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";
import { printLine } from "../output/print.ts";

export function addRmCommand(program: Command): void {
  program
    .command("rm")
    .description("remove containers that have ended")
    .argument("<containers...>")
    .option("-f, --force", "running ones too: kill them first")
    .action(async (containers: string[], options: { force?: boolean }) => {
      requireRoot("rm");
      const force = options.force ?? false;
      const { containerIds, findContainer } = await import("../container/store.ts");
      const { removeBundleAndShim, removeContainer } = await import("../container/remove.ts");
      for (const nameOrId of containers) {
        // A damaged bundle has no readable record, but its id is still the directory's name.
        if (force && containerIds().includes(nameOrId) && !isReadable(nameOrId, findContainer)) {
          await removeBundleAndShim(nameOrId, undefined);
        } else {
          const { id, name } = findContainer(nameOrId);
          await removeContainer(id, name, { force });
        }
        printLine(nameOrId);
      }
    });
}

function isReadable(id: string, find: (id: string) => unknown): boolean {
  try {
    find(id);
    return true;
  } catch {
    return false;
  }
}
