// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { requireRoot } from "../io/root.ts";
import { guestRows } from "../output/guest-rows.ts";
import { printJson, printLine, printNote } from "../output/print.ts";
import { formatTable } from "../output/table.ts";
import { addGuestTemplateCommand } from "./guest-template.ts";

export function addGuestCommand(program: Command): void {
  const guest = program.command("guest").description("kernel and image that every VM boots");
  guest
    .command("build")
    .description("build them from Debian packages (done already: takes a moment)")
    .option("--force", "build again, even when nothing has changed")
    .action(async (options: { force?: boolean }) => {
      requireRoot("guest build");
      const { buildGuestHere } = await import("../container/guest.ts");
      const manifest = await buildGuestHere({ force: options.force ?? false, log: printNote });
      printLine(manifest.contentHash);
    });
  guest
    .command("info")
    .description("what is in the guest image: versions and hashes")
    .option("--json", "as JSON")
    .action(async (options: { json?: boolean }) => {
      requireRoot("guest info");
      const { openGuest } = await import("../../../guest/image/open.ts");
      const { manifest } = await openGuest();
      if (options.json === true) return printJson(manifest);
      printLine(formatTable(["PART", "VERSION OR SIZE", "SHA-256"], guestRows(manifest)));
    });
  addGuestTemplateCommand(guest);
}
