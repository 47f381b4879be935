// SPDX-License-Identifier: Apache-2.0
import { type Configuration, SETTINGS, valuesOf } from "./keys/registry.ts";
import { formatOrigin, type LoadedConfiguration, type Origin } from "./origin.ts";

/** A setting in force, for `mukon config show`. */
export interface ShownSetting {
  /** `hypervisor.qemu.rootless` */
  readonly key: string;
  readonly value: unknown;
  /** As it would be written in the file. */
  readonly toml: string;
  readonly origin: Origin;
  readonly originText: string;
}

/** All settings in force, in the order of the documentation. */
export function describeConfiguration(loaded: LoadedConfiguration): ShownSetting[] {
  const values = valuesOf(loaded.configuration);
  return SETTINGS.map(({ dottedKey }) => {
    const value = values.get(dottedKey);
    const origin = loaded.origins.get(dottedKey) ?? { kind: "default" };
    return {
      key: dottedKey,
      value,
      toml: formatTomlValue(value),
      origin,
      originText: formatOrigin(origin),
    };
  });
}

/** The configuration as a file that could be read back. */
export function renderToml(configuration: Configuration): string {
  const values = valuesOf(configuration);
  const lines: string[] = [];
  let table = "";
  for (const { section, tomlName, dottedKey } of SETTINGS) {
    if (section.name !== table) lines.push(...(table === "" ? [] : [""]), `[${section.name}]`);
    table = section.name;
    lines.push(`${tomlName} = ${formatTomlValue(values.get(dottedKey))}`);
  }
  return `${lines.join("\n")}\n`;
}

/** JSON's strings, numbers, booleans and lists of them are TOML's, DEL apart. */
export function formatTomlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(formatTomlValue).join(", ")}]`;
  return JSON.stringify(value).replaceAll("\x7f", "\\u007f");
}
