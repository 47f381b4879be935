// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import { describeValue, printable } from "../describe-value.ts";
import { KATA_ONLY_ANNOTATIONS, REFUSED_ANNOTATIONS } from "../keys/kata-annotations.ts";
import { buildConfiguration, type Setting, valuesOf } from "../keys/registry.ts";
import { nearestWord } from "../nearest.ts";
import type { LoadedConfiguration, Origin } from "../origin.ts";
import { enabledNames } from "./gate.ts";
import { matchesGlob } from "./globs.ts";
import {
  isKnownToKata,
  KNOWN_ANNOTATIONS,
  otherKataAnnotations,
  type RuntimeAnnotation,
  runtimeAnnotations,
  settingOfAnnotation,
} from "./names.ts";
import { rootlessOf } from "./rootless.ts";
import { type OciSizing, podSize } from "./sizing.ts";

/** What is being put together. */
interface Draft {
  readonly values: Map<string, unknown>;
  readonly origins: Map<string, Origin>;
  readonly warnings: string[];
}

/**
 * The configuration of one pod: the file's, changed by the pod's annotations as far as
 * `enable_annotations` and the `valid_…` patterns allow. In the result `defaultMemory` and
 * `defaultVcpus` are the guest's whole size: defaults plus the limits of its containers, within
 * `defaultMaxmemory` and `defaultMaxvcpus`, 0 nowhere.
 *
 * @throws MukonError ANNOTATION_NOT_ENABLED, ANNOTATION_UNSUPPORTED, ANNOTATION_VALUE,
 * ANNOTATION_PATH, ANNOTATION_PATTERN_SLOW
 */
export function applyAnnotations(
  loaded: LoadedConfiguration,
  annotations: Readonly<Record<string, string>>,
  ociSizing: OciSizing = {},
): LoadedConfiguration {
  const draft: Draft = {
    values: valuesOf(loaded.configuration),
    origins: new Map(loaded.origins),
    warnings: [...loaded.warnings],
  };
  const wanted = runtimeAnnotations(annotations);
  checkEnabled(wanted, loaded.configuration.hypervisor.qemu.enableAnnotations);
  checkSupported(annotations);
  applyRootless(draft, annotations);
  for (const name of otherKataAnnotations(annotations)) {
    draft.warnings.push(strangerWarning(name, KATA_ONLY_ANNOTATIONS.includes(name)));
  }
  for (const annotation of wanted) applyOne(draft, annotation);
  applySize(draft, annotations, ociSizing);
  return { ...loaded, ...draft, configuration: buildConfiguration(draft.values) };
}

function checkEnabled(wanted: readonly RuntimeAnnotation[], patterns: readonly string[]): void {
  const gated = wanted.filter(({ scope }) => scope === "hypervisor");
  const enabled = enabledNames(
    gated.map(({ name }) => name),
    patterns,
  );
  const refused = gated.find(({ name }) => !enabled.has(name));
  if (refused !== undefined) throw notEnabled(refused.fullName, refused.name);
}

function notEnabled(fullName: string, name: string): MukonError {
  return new MukonError(
    "ANNOTATION_NOT_ENABLED",
    `The annotation ${printable(fullName)} is not enabled.`,
    {
      hint: `Remove it from the pod, or add an expression that matches "${printable(name)}" to enable_annotations in [hypervisor.qemu].`,
    },
  );
}

/** A protection that a pod asks for and would not get is no matter of a warning. */
function checkSupported(annotations: Readonly<Record<string, string>>): void {
  for (const [fullName, missing] of Object.entries(REFUSED_ANNOTATIONS)) {
    if (!Object.hasOwn(annotations, fullName)) continue;
    throw new MukonError(
      "ANNOTATION_UNSUPPORTED",
      `The annotation ${fullName} asks for ${missing}, which mukon does not have.`,
      { hint: "Remove it if the pod may run without; else run the pod with Kata." },
    );
  }
}

function applyRootless(draft: Draft, annotations: Readonly<Record<string, string>>): void {
  const asked = rootlessOf(annotations);
  if (asked === undefined) return;
  const patterns = draft.values.get("hypervisor.qemu.enable_annotations") as readonly string[];
  if (!asked.isRootless && !enabledNames(["rootless"], patterns).has("rootless")) {
    throw notEnabled(asked.annotation, "rootless");
  }
  if (!asked.isRootless) {
    draft.warnings.push(`The annotation ${asked.annotation} is false, so the VMM runs as root.`);
  }
  draft.values.set("hypervisor.qemu.rootless", asked.isRootless);
  draft.origins.set("hypervisor.qemu.rootless", {
    kind: "annotation",
    annotation: asked.annotation,
  });
}

function applyOne(draft: Draft, annotation: RuntimeAnnotation): void {
  const setting = settingOfAnnotation(annotation.fullName);
  if (setting === undefined) {
    draft.warnings.push(strangerWarning(annotation.fullName, isKnownToKata(annotation)));
    return;
  }
  const value = checkedValue(draft, setting, annotation);
  checkPath(draft, setting, { ...annotation, value: String(value) });
  draft.values.set(setting.dottedKey, value);
  draft.origins.set(setting.dottedKey, { kind: "annotation", annotation: annotation.fullName });
  if (setting.definition.effect === "accepted") {
    draft.warnings.push(
      `The annotation ${annotation.fullName} is accepted for Kata's sake, but has no effect in this version of mukon.`,
    );
  }
}

function checkedValue(draft: Draft, setting: Setting, annotation: RuntimeAnnotation): unknown {
  const { kind } = setting.definition;
  const asked = kind.fromText(annotation.value);
  const before = draft.values.get(setting.dottedKey);
  const isAppended = setting.definition.annotation?.isAppended === true && before !== "";
  const result = v.safeParse(kind.schema, isAppended ? `${before} ${asked}` : asked);
  if (result.success) return result.output;
  throw new MukonError(
    "ANNOTATION_VALUE",
    `The annotation ${annotation.fullName} is ${describeValue(annotation.value)}, but must be ${kind.accepts}.`,
    { hint: "Correct the annotation's value.", details: { annotation: annotation.fullName } },
  );
}

/** Root will open what a pod names: only what the administrator listed. */
function checkPath(draft: Draft, setting: Setting, annotation: RuntimeAnnotation): void {
  const list = setting.definition.annotation?.globs;
  if (list === undefined || annotation.value === "") return;
  const patterns = draft.values.get(`${setting.section.name}.${list}`) as readonly string[];
  if (patterns.some((pattern) => matchesGlob(annotation.value, pattern))) return;
  throw new MukonError(
    "ANNOTATION_PATH",
    `The annotation ${annotation.fullName} names ${describeValue(annotation.value)}, which matches none of ${list}.`,
    { hint: `Name an allowed path, or add one to ${list} in [${setting.section.name}].` },
  );
}

function strangerWarning(fullName: string, isKnown: boolean): string {
  if (isKnown) {
    return `The annotation ${fullName} is known to Kata, but has no effect in mukon.`;
  }
  const nearest = nearestWord(fullName, KNOWN_ANNOTATIONS);
  const question = nearest === undefined ? "" : ` Did you mean ${nearest}?`;
  return `Unknown annotation ${printable(fullName)}.${question}`;
}

function applySize(
  draft: Draft,
  annotations: Readonly<Record<string, string>>,
  ociSizing: OciSizing,
): void {
  const { qemu } = buildConfiguration(draft.values).hypervisor;
  const size = podSize(qemu, annotations, ociSizing);
  const sizes = {
    "hypervisor.qemu.default_vcpus": size.vcpus,
    "hypervisor.qemu.default_memory": size.memoryMib,
  };
  for (const [key, value] of Object.entries(sizes)) {
    if (draft.values.get(key) === value) continue;
    draft.values.set(key, value);
    draft.origins.set(key, { kind: "limits" });
  }
  draft.warnings.push(...size.warnings);
}
