// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { interruptible } from "../io/interruptible.ts";
import { requireRoot } from "../io/root.ts";
import { printJson, printLine, printNote } from "../output/print.ts";
import { formatAge, formatBytes, formatTable } from "../output/table.ts";

export function addImageCommand(program: Command): void {
  const image = program.command("image").description("container images on this host");
  image
    .command("pull")
    .description("fetch an image, or bring it up to date")
    .argument("<image>")
    .action(async (reference: string) => {
      requireRoot("image pull");
      const { resolveImage } = await import("../../images/resolve.ts");
      const resolved = await interruptible((signal) =>
        resolveImage(reference, { pull: "always", log: printNote, signal }),
      );
      printLine(resolved.digest);
    });
  image
    .command("ls")
    .description("list images")
    .option("--json", "as JSON")
    .action(async (options: { json?: boolean }) => {
      requireRoot("image ls");
      const { listImages } = await import("../../images/store.ts");
      const images = await listImages();
      if (options.json === true) return printJson(images);
      const rows = images.map((entry) => [
        entry.reference,
        entry.digest.replace(/^sha256:/, "").slice(0, 12),
        formatAge(entry.createdAt),
        formatBytes(entry.sizeBytes),
      ]);
      printLine(formatTable(["IMAGE", "DIGEST", "PULLED", "SIZE"], rows));
    });
  image
    .command("rm")
    .description("remove images")
    .argument("<images...>")
    .action(async (references: string[]) => {
      requireRoot("image rm");
      const { removeImage } = await import("../../images/store.ts");
      for (const reference of references) {
        await removeImage(reference);
        printLine(reference);
      }
    });
}
