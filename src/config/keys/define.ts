// SPDX-License-Identifier: Apache-2.0
import type { Kind } from "../kinds.ts";

/** How a pod may change a setting: `io.katacontainers.config.<scope>.<name>`. */
export interface AnnotationBinding {
  /** Last part of the annotation's name; default: the setting's own name. */
  readonly name?: string;
  /** The setting that lists the patterns a path from an annotation must match one of. */
  readonly globs?: string;
  /** Add to the file's value, after a space, rather than replace it. */
  readonly isAppended?: boolean;
}

export interface KeyDefinition<T> {
  readonly kind: Kind<T>;
  readonly default: NoInfer<T>;
  /** One or two sentences for the documentation. */
  readonly about: string;
  /** Name in the file where it is not the TypeScript name in snake_case. */
  readonly toml?: string;
  /** Other names that Kata's two runtimes use for the same thing. */
  readonly aliases?: readonly string[];
  readonly annotation?: AnnotationBinding;
  /** `accepted`: checked, so that Kata's files can be used, but nothing depends on it so far. */
  readonly effect: "active" | "accepted";
}

/** Settings of one table of the file, by their TypeScript names. */
export type KeyTable = { readonly [name: string]: KeyDefinition<unknown> };

/** The values that a table of definitions describes. */
export type ValuesOf<Table extends KeyTable> = {
  readonly [Name in keyof Table]: Table[Name] extends KeyDefinition<infer T> ? T : never;
};

/** Declares a setting that mukon acts on. */
export function active<T>(definition: Omit<KeyDefinition<T>, "effect">): KeyDefinition<T> {
  return { ...definition, effect: "active" };
}

/** Declares a setting that is checked and shown, but changes nothing so far. */
export function accepted<T>(definition: Omit<KeyDefinition<T>, "effect">): KeyDefinition<T> {
  return { ...definition, effect: "accepted" };
}

/** `defaultMaxvcpus` → `default_maxvcpus`. */
export function tomlName(name: string, definition: KeyDefinition<unknown>): string {
  return definition.toml ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
