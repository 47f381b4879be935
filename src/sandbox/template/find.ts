// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "../../logging/logger.ts";
import { type MachineDescription, templateInputs, templateKey } from "./inputs.ts";
import { type OpenTemplate, openTemplate, removeTemplate, touchTemplate } from "./store.ts";

/**
 * The template for such a machine, if there is one that is whole. A damaged one is dropped: that a
 * pod has to boot is no reason for it not to start.
 */
export function findTemplate(machine: MachineDescription, log: Logger): OpenTemplate | undefined {
  const key = keyOf(machine);
  if (key === undefined) return undefined;
  try {
    const template = openTemplate(key);
    if (template !== undefined) touchTemplate(key);
    return template;
  } catch (error) {
    log.warn("the template is damaged and is dropped; the guest is booted instead", { error });
    removeTemplate(key);
    return undefined;
  }
}

/** None where a file is missing or a setting wrong, which the launch is about to say better. */
function keyOf(machine: MachineDescription): string | undefined {
  try {
    return templateKey(templateInputs(machine));
  } catch {
    return undefined;
  }
}
