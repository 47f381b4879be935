// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";
import { printJson, printLine } from "../output/print.ts";
import { formatAge, formatTable } from "../output/table.ts";

const COMMAND_WIDTH = 30;

export function addPsCommand(program: Command): void {
  program
    .command("ps")
    .description("list containers")
    .option("-a, --all", "those that have ended too")
    .option("-q, --quiet", "ids only")
    .option("--json", "as JSON")
    .action(async (options: { all?: boolean; quiet?: boolean; json?: boolean }) => {
      requireRoot("ps");
      const { containerState } = await import("../container/state.ts");
      const { listContainers } = await import("../container/store.ts");
      const { addressesOf } = await import("../container/addresses.ts");
      const all = await Promise.all(
        listContainers().map(async (record) => ({
          ...record,
          ...(await containerState(record.id)),
          addresses: addressesOf(record.id),
        })),
      );
      const shown = all.filter(
        (container) => options.all === true || container.status !== "exited",
      );
      if (options.json === true) return printJson(shown);
      if (options.quiet === true) {
        for (const container of shown) printLine(container.id);
        return;
      }
      const rows = shown.map((container) => [
        container.id,
        container.image,
        shorten(container.command.join(" ")),
        formatAge(container.createdAt),
        container.exit === undefined ? container.status : `exited (${container.exit.status})`,
        container.addresses[0] ?? "-",
        container.name,
      ]);
      printLine(
        formatTable(["ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "ADDRESS", "NAME"], rows),
      );
    });
}

function shorten(text: string): string {
  const plain = text.replace(/\s+/g, " ");
  return plain.length > COMMAND_WIDTH ? `${plain.slice(0, COMMAND_WIDTH - 1)}…` : plain;
}
