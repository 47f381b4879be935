// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { printJson, printLine, printNote } from "../output/print.ts";

const collect = (value: string, earlier: string[] = []): string[] => [...earlier, value];

export function addConfigCommand(program: Command): void {
  const config = program.command("config").description("the settings in force");
  config
    .command("show")
    .description("print every setting")
    .option("--origin", "and where each came from: file and line, drop-in, annotation, default")
    .option("--config <file>", "configuration.toml to read")
    .option("--annotation <KEY=VALUE>", "as if a pod had this annotation", collect)
    .option("--json", "as JSON")
    .action(async (options: ShowOptions) => {
      const { shownSettings } = await import("../output/settings.ts");
      const { settings, warnings } = await shownSettings(options.config, options.annotation ?? []);
      for (const warning of warnings) printNote(`warning: ${warning}`);
      if (options.json === true) return printJson(settings);
      for (const { key, toml, originText } of settings) {
        printLine(`${key} = ${toml}${options.origin === true ? `  # ${originText}` : ""}`);
      }
    });
}

interface ShowOptions {
  origin?: boolean;
  config?: string;
  annotation?: string[];
  json?: boolean;
}
