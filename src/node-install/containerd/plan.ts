// SPDX-License-Identifier: Apache-2.0
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { matchesGlob } from "../../config/annotations/globs.ts";
import { MukonError } from "../../errors/mukon-error.ts";
import { readIfThere } from "../files.ts";
import type { HostRoot } from "../host-root.ts";
import {
  type ConfigVersion,
  CRI_PLUGIN,
  isTable,
  missingHandlers,
  runtimeBlock,
  runtimesOf,
  runtimesToAdd,
  withBlock,
  withoutBlock,
} from "./entry.ts";
import type { Flavour } from "./flavour.ts";
import { type ContainerdConfig, parseContainerdConfig, parseTables } from "./parse.ts";

/** A file of the node that is to be changed. */
export interface Edit {
  readonly path: string;
  /** Undefined: the file is to be removed. */
  readonly text: string | undefined;
}

/** Where there was no configuration; version 2 is understood by containerd 1.6 to 2. */
const NEW_CONFIG = "# Made by mukon's installer, as there was no configuration.\nversion = 2\n";
const NEW_DROP_IN = "# Made by mukon's installer.\nversion = 3\n";
const NEW_TEMPLATE = '# Made by mukon\'s installer.\n{{ template "base" . }}\n';
const MADE_BY_US: readonly string[] = [NEW_CONFIG, NEW_DROP_IN, NEW_TEMPLATE];
const DROP_IN = "mukon.toml";

/**
 * What has to change so that containerd has these handlers; nothing is written. Empty: all is in place.
 * @throws INSTALL_CONTAINERD_CONFIG, INSTALL_HANDLER_TAKEN
 */
export function planInstall(host: HostRoot, flavour: Flavour, handlers: readonly string[]): Edit[] {
  const wanted = flavour.isGenerated
    ? inTemplate(host, flavour, handlers)
    : inConfiguration(host, flavour, handlers);
  // What an earlier version of containerd, or of its configuration, made us write elsewhere.
  const others = planUninstall(host, flavour).filter(({ path }) => path !== wanted.path);
  return [...others, ...(readNode(host, wanted.path) === wanted.text ? [] : [wanted])];
}

/** What has to change so that containerd has nothing of ours. */
export function planUninstall(host: HostRoot, flavour: Flavour): Edit[] {
  return places(flavour).flatMap((path): Edit[] => {
    const text = readNode(host, path);
    if (text === undefined) return [];
    const rest = withoutBlock(text, path);
    if (rest === text) return [];
    return [{ path, text: MADE_BY_US.includes(rest) ? undefined : rest }];
  });
}

function places({ configuration, isGenerated }: Flavour): string[] {
  return isGenerated
    ? [`${configuration}.tmpl`, `${dirname(configuration)}/config-v3.toml.tmpl`]
    : [configuration, dropInOf(configuration)];
}

function dropInOf(configuration: string): string {
  return `${dirname(configuration)}/conf.d/${DROP_IN}`;
}

function inConfiguration(host: HostRoot, flavour: Flavour, handlers: readonly string[]): Edit {
  const path = flavour.configuration;
  const rest = withoutBlock(readNode(host, path) ?? NEW_CONFIG, path);
  const config = parseContainerdConfig(rest, path);
  if (config.version === 2) checkImports(host, config, path);
  const dropIn = dropInOf(path);
  // containerd 2 merges what several files say of a plugin; 1.x lets the last one replace all of it.
  if (config.version === 3 && config.imports.some((glob) => isMatch(dropIn, glob, path))) {
    const runtimes = runtimesOf(config.root, 3);
    missingHandlers(runtimes, handlers, { path, version: 3 });
    const block = runtimeBlock(3, runtimesToAdd(runtimes, handlers, 3));
    return { path: dropIn, text: withBlock(NEW_DROP_IN, block) };
  }
  return { path, text: added({ text: rest, path, config }, handlers) };
}

/** The text with the block at its end, after a look whether it then says what it said, and ours. */
function added(
  file: { text: string; path: string; config: ContainerdConfig },
  handlers: readonly string[],
): string {
  const { version, root } = file.config;
  const runtimes = runtimesOf(root, version);
  const missing = missingHandlers(runtimes, handlers, { ...file, version });
  if (missing.length === 0) return file.text;
  const more = runtimesToAdd(runtimes, missing, version);
  const text = withBlock(file.text, runtimeBlock(version, more));
  const wanted = plain(root);
  let table = wanted;
  for (const key of ["plugins", CRI_PLUGIN[version], "containerd", "runtimes"]) {
    table[key] ??= {};
    table = table[key] as Record<string, unknown>;
  }
  Object.assign(table, plain(more));
  if (isDeepStrictEqual(plain(parseTables(text, file.path)), wanted)) return text;
  throw new MukonError(
    "INSTALL_CONTAINERD_CONFIG",
    `${file.path} would say something else than before with mukon's runtime at its end.`,
    { hint: "Enter the runtime by hand (deploy/containerd), and install again." },
  );
}

/** containerd 1.x: a plugin's table in an imported file replaces that of the main file, ours with it. */
function checkImports(host: HostRoot, config: ContainerdConfig, path: string): void {
  for (const file of config.imports.flatMap((glob) => importedFiles(host, glob, path))) {
    const { plugins } = parseTables(readNode(host, file) ?? "", file);
    if (!isTable(plugins) || plugins[CRI_PLUGIN[2]] === undefined) continue;
    throw new MukonError(
      "INSTALL_CONTAINERD_CONFIG",
      `${path} imports ${file}, whose settings of ${CRI_PLUGIN[2]} replace all that ${path} says of it.`,
      { hint: `Move them into ${path}, and take the import out; then install again.` },
    );
  }
}

function importedFiles(host: HostRoot, glob: string, path: string): string[] {
  const pattern = absolute(glob, path);
  if (!/[*?[]/.test(pattern)) return [pattern];
  try {
    return readdirSync(host.at(dirname(pattern)))
      .sort()
      .map((name) => join(dirname(pattern), name))
      .filter((file) => isMatch(file, glob, path));
  } catch {
    return [];
  }
}

function isMatch(file: string, glob: string, path: string): boolean {
  return matchesGlob(file, absolute(glob, path));
}

function absolute(glob: string, path: string): string {
  return glob.startsWith("/") ? glob : join(dirname(path), glob);
}

/** k3s and RKE2 make the file at every start, out of a template that belongs to the administrator. */
function inTemplate(host: HostRoot, flavour: Flavour, handlers: readonly string[]): Edit {
  const generated = readNode(host, flavour.configuration);
  if (generated === undefined) {
    throw new MukonError(
      "INSTALL_CONTAINERD_MISSING",
      `${flavour.configuration} is not there: ${flavour.name} has not started yet.`,
      { hint: `Start ${flavour.name} once, and install again.` },
    );
  }
  const current = withoutBlock(generated, flavour.configuration);
  const { version, root } = parseContainerdConfig(current, flavour.configuration);
  const runtimes = runtimesOf(root, version);
  missingHandlers(runtimes, handlers, { path: flavour.configuration, version });
  const path = templateOf(flavour, version);
  const template = withoutBlock(readNode(host, path) ?? NEW_TEMPLATE, path);
  const taken = handlers.find((handler) => template.includes(`runtimes.${handler}]`));
  if (taken !== undefined) {
    throw new MukonError(
      "INSTALL_HANDLER_TAKEN",
      `${path} already has a runtime "${taken}", entered by hand.`,
      { hint: "Remove it there, and install again." },
    );
  }
  const block = runtimeBlock(version, runtimesToAdd(runtimes, handlers, version));
  return { path, text: withBlock(template, block) };
}

function templateOf({ configuration }: Flavour, version: ConfigVersion): string {
  const name = version === 3 ? "config-v3.toml" : basename(configuration);
  return join(dirname(configuration), `${name}.tmpl`);
}

function readNode(host: HostRoot, path: string): string | undefined {
  return readIfThere(host.at(path));
}

function plain(value: unknown): Record<string, unknown> {
  const text = JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(one) : one));
  return JSON.parse(text) as Record<string, unknown>;
}
