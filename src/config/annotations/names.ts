// SPDX-License-Identifier: Apache-2.0
import { KATA_ONLY_ANNOTATIONS, OWN_ANNOTATIONS } from "../keys/kata-annotations.ts";
import { KATA_ONLY_KEYS } from "../keys/kata-only.ts";
import { type AnnotationScope, SETTINGS, type Setting } from "../keys/registry.ts";

const PREFIX = "io.katacontainers.config.";

/** Both spellings that Kata's code and documentation have had for it. */
export const ROOTLESS_ANNOTATIONS: readonly string[] = [
  "io.katacontainers.config.hypervisor.rootless",
  "io.katacontainers.hypervisor.rootless",
];

/** An annotation that is meant for a runtime like Kata. */
export interface RuntimeAnnotation {
  readonly scope: AnnotationScope;
  /** What follows the scope: `default_memory`. */
  readonly name: string;
  /** As in the pod. */
  readonly fullName: string;
  readonly value: string;
}

/** The annotations that set something, rootless apart, in a fixed order. */
export function runtimeAnnotations(
  annotations: Readonly<Record<string, string>>,
): RuntimeAnnotation[] {
  const scopes: AnnotationScope[] = ["hypervisor", "runtime", "agent"];
  return Object.entries(annotations)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([fullName, value]) => {
      if (ROOTLESS_ANNOTATIONS.includes(fullName)) return [];
      const scope = scopes.find((one) => fullName.startsWith(`${PREFIX}${one}.`));
      if (scope === undefined) return [];
      return [{ scope, name: fullName.slice(PREFIX.length + scope.length + 1), fullName, value }];
    });
}

/** Annotations in Kata's name that are neither for a setting nor written by a runtime itself. */
export function otherKataAnnotations(annotations: Readonly<Record<string, string>>): string[] {
  const isOther = (name: string): boolean =>
    name.startsWith("io.katacontainers.") &&
    !ROOTLESS_ANNOTATIONS.includes(name) &&
    !OWN_ANNOTATIONS.includes(name);
  const settings = new Set(runtimeAnnotations(annotations).map(({ fullName }) => fullName));
  return Object.keys(annotations)
    .filter((name) => isOther(name) && !settings.has(name))
    .sort();
}

/** Full name of the annotation that changes a setting, if any does. */
export function annotationOf(setting: Setting): string | undefined {
  const { scope } = setting.section;
  const binding = setting.definition.annotation;
  if (scope === undefined || binding === undefined) return undefined;
  return `${PREFIX}${scope}.${binding.name ?? setting.tomlName}`;
}

const SETTINGS_BY_ANNOTATION: ReadonlyMap<string, Setting> = new Map(
  SETTINGS.flatMap((setting) => {
    const name = annotationOf(setting);
    return name === undefined ? [] : [[name, setting] as const];
  }),
);

export const KNOWN_ANNOTATIONS: readonly string[] = [...SETTINGS_BY_ANNOTATION.keys()];

export function settingOfAnnotation(fullName: string): Setting | undefined {
  return SETTINGS_BY_ANNOTATION.get(fullName);
}

/** Whether Kata has an annotation, or at least a setting, of this name. */
export function isKnownToKata(annotation: RuntimeAnnotation): boolean {
  const table = { hypervisor: "hypervisor.qemu", runtime: "runtime", agent: "agent.kata" };
  return (
    KATA_ONLY_ANNOTATIONS.includes(annotation.fullName) ||
    (KATA_ONLY_KEYS[table[annotation.scope]] ?? []).includes(annotation.name)
  );
}
