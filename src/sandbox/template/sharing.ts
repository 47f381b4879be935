// SPDX-License-Identifier: Apache-2.0
import type { Configuration } from "../../config/keys/registry.ts";
import { canMapPrivately } from "../../vmm/qemu/version.ts";

/** How a clone comes by its template's memory. */
export type TemplateMemory = "shared" | "copied";

/**
 * `shared`: the VMM maps the template's file for itself, and gets copies of the pages that it writes
 * to. `copied`: it gets a copy of everything, because its QEMU can do no better, or the
 * configuration wants it so.
 */
export function templateMemory(
  { mukon }: Pick<Configuration, "mukon">,
  qemuVersion: string,
): TemplateMemory {
  return mukon.templateMemory === "auto" && canMapPrivately(qemuVersion) ? "shared" : "copied";
}
