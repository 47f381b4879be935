// SPDX-License-Identifier: Apache-2.0
import type { Configuration } from "./keys/registry.ts";

/** Where the value of a setting came from. */
export interface Origin {
  /** `limits`: the default plus what the containers' own limits ask for. */
  readonly kind: "default" | "file" | "drop-in" | "annotation" | "limits";
  /** Path, for `file` and `drop-in`. */
  readonly file?: string;
  /** 1-based, for `file` and `drop-in`. */
  readonly line?: number;
  /** Full name, for `annotation`. */
  readonly annotation?: string;
}

/** A configuration and how it came about. */
export interface LoadedConfiguration {
  readonly configuration: Configuration;
  /** By dotted key as in the file: `hypervisor.qemu.default_memory`. Every setting is in it. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** One sentence each, for the log and for `mukon config show`. */
  readonly warnings: readonly string[];
  /** Main file first, then drop-ins in the order they were read; empty: built-in defaults only. */
  readonly files: readonly string[];
}

/** `/etc/mukon/configuration.toml:12`, `annotation …`, `default`. */
export function formatOrigin(origin: Origin): string {
  switch (origin.kind) {
    case "file":
      return `${origin.file}:${origin.line}`;
    case "drop-in":
      return `${origin.file}:${origin.line} (drop-in)`;
    case "annotation":
      return `annotation ${origin.annotation}`;
    case "limits":
      return "default plus the containers' limits";
    default:
      return "default";
  }
}
