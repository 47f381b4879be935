// SPDX-License-Identifier: Apache-2.0
import type { LoadedConfiguration } from "../origin.ts";
import { applyAnnotations } from "./apply.ts";

/** Sizes given on a command line. */
export interface Overrides {
  readonly memoryMib?: number | undefined;
  /** CPUs; a fraction is rounded up. */
  readonly vcpus?: number | undefined;
}

/** The annotations by which a client of the shim passes these sizes on. */
export function overrideAnnotations(overrides: Overrides): Record<string, string> {
  const prefix = "io.katacontainers.config.hypervisor.default_";
  const annotations: Record<string, string> = {};
  if (overrides.memoryMib !== undefined)
    annotations[`${prefix}memory`] = String(overrides.memoryMib);
  if (overrides.vcpus !== undefined) annotations[`${prefix}vcpus`] = String(overrides.vcpus);
  return annotations;
}

/** The configuration that a pod with these sizes will have. */
export function applyOverrides(
  loaded: LoadedConfiguration,
  overrides: Overrides,
): LoadedConfiguration {
  return applyAnnotations(loaded, overrideAnnotations(overrides));
}
