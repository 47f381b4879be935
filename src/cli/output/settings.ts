// SPDX-License-Identifier: Apache-2.0
import { applyAnnotations } from "../../config/annotations/apply.ts";
import { loadConfiguration } from "../../config/load.ts";
import { describeConfiguration, type ShownSetting } from "../../config/show.ts";
import { parsePairs } from "../io/pairs.ts";

/** The settings in force, as files and the given annotations make them. */
export async function shownSettings(
  path: string | undefined,
  pairs: readonly string[],
): Promise<{ settings: ShownSetting[]; warnings: readonly string[] }> {
  const files = await loadConfiguration({ path });
  const loaded = pairs.length === 0 ? files : applyAnnotations(files, parsePairs(pairs));
  return { settings: describeConfiguration(loaded), warnings: loaded.warnings };
}
