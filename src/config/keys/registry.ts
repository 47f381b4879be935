// SPDX-License-Identifier: Apache-2.0
import { AGENT_KEYS } from "./agent.ts";
import { type KeyDefinition, type KeyTable, tomlName, type ValuesOf } from "./define.ts";
import { MUKON_KEYS } from "./mukon.ts";
import { QEMU_DEVICE_KEYS } from "./qemu-devices.ts";
import { QEMU_MACHINE_KEYS } from "./qemu-machine.ts";
import { FACTORY_KEYS, RUNTIME_KEYS } from "./runtime.ts";

const QEMU_KEYS = { ...QEMU_MACHINE_KEYS, ...QEMU_DEVICE_KEYS };

/** All settings in force, by their TypeScript names. Frozen throughout. */
export interface Configuration {
  readonly hypervisor: { readonly qemu: ValuesOf<typeof QEMU_KEYS> };
  /** [agent.kata] */
  readonly agent: ValuesOf<typeof AGENT_KEYS>;
  readonly runtime: ValuesOf<typeof RUNTIME_KEYS>;
  readonly factory: ValuesOf<typeof FACTORY_KEYS>;
  readonly mukon: ValuesOf<typeof MUKON_KEYS>;
}

export type AnnotationScope = "hypervisor" | "runtime" | "agent";

/** One table of the file. */
export interface Section {
  /** `hypervisor.qemu` */
  readonly name: string;
  readonly about: string;
  readonly keys: KeyTable;
  /** Middle part of the annotations for its settings. */
  readonly scope?: AnnotationScope;
}

export const SECTIONS: readonly Section[] = [
  {
    name: "hypervisor.qemu",
    about: "The VMM, and the machine it shows to the guest.",
    keys: QEMU_KEYS,
    scope: "hypervisor",
  },
  { name: "agent.kata", about: "The agent in the guest.", keys: AGENT_KEYS, scope: "agent" },
  { name: "runtime", about: "The shim.", keys: RUNTIME_KEYS, scope: "runtime" },
  { name: "factory", about: "Guests cloned rather than booted.", keys: FACTORY_KEYS },
  { name: "mukon", about: "What Kata has no setting for.", keys: MUKON_KEYS },
];

/** A setting together with its place in the file. */
export interface Setting {
  /** `hypervisor.qemu.default_memory` */
  readonly dottedKey: string;
  readonly section: Section;
  /** Name in TypeScript. */
  readonly name: string;
  /** Name in the file. */
  readonly tomlName: string;
  readonly definition: KeyDefinition<unknown>;
}

/** Every setting, in the order of the documentation. */
export const SETTINGS: readonly Setting[] = SECTIONS.flatMap((section) =>
  Object.entries(section.keys).map(([name, definition]) => {
    const inFile = tomlName(name, definition);
    return { dottedKey: `${section.name}.${inFile}`, section, name, tomlName: inFile, definition };
  }),
);

/** Settings by dotted name, aliases included. */
export const SETTINGS_BY_KEY: ReadonlyMap<string, Setting> = new Map(
  SETTINGS.flatMap((setting) => [
    [setting.dottedKey, setting] as const,
    ...(setting.definition.aliases ?? []).map(
      (alias) => [`${setting.section.name}.${alias}`, setting] as const,
    ),
  ]),
);

/** Values by dotted key → the typed, frozen configuration. The values must have been checked. */
export function buildConfiguration(values: ReadonlyMap<string, unknown>): Configuration {
  const tables = new Map<string, Record<string, unknown>>();
  for (const setting of SETTINGS) {
    const table = tables.get(setting.section.name) ?? {};
    const value = values.has(setting.dottedKey)
      ? values.get(setting.dottedKey)
      : setting.definition.default;
    table[setting.name] = Array.isArray(value) ? Object.freeze([...value]) : value;
    tables.set(setting.section.name, table);
  }
  for (const table of tables.values()) Object.freeze(table);
  return Object.freeze({
    hypervisor: Object.freeze({ qemu: tables.get("hypervisor.qemu") }),
    agent: tables.get("agent.kata"),
    runtime: tables.get("runtime"),
    factory: tables.get("factory"),
    mukon: tables.get("mukon"),
  }) as Configuration;
}

/** The opposite of {@link buildConfiguration}: values by dotted key. */
export function valuesOf(configuration: Configuration): Map<string, unknown> {
  const tables: Record<string, Readonly<Record<string, unknown>>> = {
    "hypervisor.qemu": configuration.hypervisor.qemu,
    "agent.kata": configuration.agent,
    runtime: configuration.runtime,
    factory: configuration.factory,
    mukon: configuration.mukon,
  };
  return new Map(
    SETTINGS.map((setting) => [setting.dottedKey, tables[setting.section.name]?.[setting.name]]),
  );
}
