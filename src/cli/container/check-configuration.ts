// SPDX-License-Identifier: Apache-2.0
import { applyAnnotations } from "../../config/annotations/apply.ts";
import type { Configuration } from "../../config/keys/registry.ts";
import { loadConfiguration } from "../../config/load.ts";
import type { RunOptions } from "../commands/run-options.ts";
import { printNote } from "../output/print.ts";

/**
 * Reads the configuration as the shim will, for what a shim cannot do: tell the user at once, before
 * an image is fetched or a VM is made, and print what the files and annotations are warned about.
 */
export async function checkConfiguration(options: RunOptions): Promise<Configuration> {
  const files = await loadConfiguration({ path: options.configurationFile });
  const { configuration, warnings } = applyAnnotations(files, options.annotations);
  for (const warning of warnings) printNote(`warning: ${warning}`);
  return configuration;
}
