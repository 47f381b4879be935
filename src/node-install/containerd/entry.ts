// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from "node:util";
import { formatTomlValue } from "../../config/show.ts";
import { MukonError } from "../../errors/mukon-error.ts";

/** Versions of containerd's configuration that have runtimes where mukon knows them. */
export type ConfigVersion = 2 | 3;

export const SHIM_PATH = "/opt/mukon/current/bin/containerd-shim-mukon-v2";
const BEGIN = "# mukon: begin. Written by mukon's installer, which replaces and removes it.";
const END = "# mukon: end.";

/** The plugin whose table has the runtimes. */
export const CRI_PLUGIN = {
  2: "io.containerd.grpc.v1.cri",
  3: "io.containerd.cri.v1.runtime",
} as const;

/** A runtime as containerd's configuration has it. */
export function runtimeEntry(version: ConfigVersion): Readonly<Record<string, unknown>> {
  return {
    runtime_type: "io.containerd.mukon.v2",
    runtime_path: SHIM_PATH,
    pod_annotations: ["io.katacontainers.*"],
    container_annotations: ["io.katacontainers.*"],
    privileged_without_host_devices: true,
    ...(version === 3 ? { sandboxer: "podsandbox" } : {}),
  };
}

/**
 * What is to be added: the entries of the handlers, and containerd's own default where the configuration
 * names no runtime. containerd 1.x drops its default, runc, as soon as any is named.
 */
export function runtimesToAdd(
  runtimes: Readonly<Record<string, unknown>>,
  handlers: readonly string[],
  version: ConfigVersion,
): Record<string, Readonly<Record<string, unknown>>> {
  const isFirst = Object.keys(runtimes).length === 0;
  return {
    ...(isFirst ? { runc: { runtime_type: "io.containerd.runc.v2" } } : {}),
    ...Object.fromEntries(handlers.map((handler) => [handler, runtimeEntry(version)])),
  };
}

/** The tables of runtimes, between two lines by which they are found again. */
export function runtimeBlock(
  version: ConfigVersion,
  runtimes: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): string {
  const tables = Object.entries(runtimes).map(([handler, entry]) => {
    const name = `[plugins."${CRI_PLUGIN[version]}".containerd.runtimes.${handler}]`;
    const settings = Object.entries(entry).map(
      ([key, value]) => `  ${key} = ${formatTomlValue(value)}`,
    );
    return [name, ...settings].join("\n");
  });
  return [BEGIN, ...tables, END, ""].join("\n");
}

/**
 * The text without the block.
 * @throws INSTALL_CONTAINERD_CONFIG when one of its two lines is missing, or there are several
 */
export function withoutBlock(text: string, path: string): string {
  const begins = occurrences(text, BEGIN);
  const ends = occurrences(text, END);
  if (begins.length === 0 && ends.length === 0) return text;
  const [begin = -1] = begins;
  const [end = -1] = ends;
  if (begins.length !== 1 || ends.length !== 1 || end < begin) {
    throw new MukonError(
      "INSTALL_CONTAINERD_CONFIG",
      `${path} has the lines by which mukon finds its part of it, but not one of each in their order.`,
      { hint: "Remove what is mukon's from the file by hand, and these lines too." },
    );
  }
  return text.slice(0, begin).replace(/\n\n$/, "\n") + text.slice(end + END.length + 1);
}

/** The text with the block at its end, apart from what is before. */
export function withBlock(text: string, block: string): string {
  const gap = text === "" ? "" : text.endsWith("\n") ? "\n" : "\n\n";
  return `${text}${gap}${block}`;
}

function occurrences(text: string, line: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(line); at >= 0; at = text.indexOf(line, at + 1)) found.push(at);
  return found;
}

/** Runtimes of a parsed configuration, by handler. */
export function runtimesOf(
  root: Readonly<Record<string, unknown>>,
  version: ConfigVersion,
): Readonly<Record<string, unknown>> {
  let found: unknown = root;
  for (const key of ["plugins", CRI_PLUGIN[version], "containerd", "runtimes"]) {
    found = isTable(found) ? found[key] : undefined;
  }
  return isTable(found) ? found : {};
}

/**
 * The handlers that are still to be added: a runtime that somebody else entered just so is left to them.
 * @throws INSTALL_HANDLER_TAKEN
 */
export function missingHandlers(
  runtimes: Readonly<Record<string, unknown>>,
  handlers: readonly string[],
  place: { path: string; version: ConfigVersion },
): string[] {
  return handlers.filter((handler) => {
    const entry = runtimes[handler];
    if (entry === undefined) return true;
    if (isDeepStrictEqual({ ...(entry as object) }, runtimeEntry(place.version))) return false;
    throw new MukonError(
      "INSTALL_HANDLER_TAKEN",
      `${place.path} already has a runtime "${handler}", which is not the one to be installed.`,
      {
        hint: "Remove it, or install mukon under another name (--handlers), with a RuntimeClass for it.",
      },
    );
  });
}

export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
