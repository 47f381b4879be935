// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { type Entry, type IgnoredKey, readEntries } from "./file/entries.ts";
import { whyKataPathIsLeft } from "./file/kata-paths.ts";
import { findConfigFile, findDropIns } from "./file/lookup.ts";
import { parseToml, readTomlFile, type TomlFile } from "./file/read.ts";
import { ID_BLOCK_SIZE } from "./keys/mukon.ts";
import { buildConfiguration, type Configuration, SETTINGS } from "./keys/registry.ts";
import { formatOrigin, type LoadedConfiguration, type Origin } from "./origin.ts";

export interface LoadOptions {
  /** A file that wins over the environment and the default places. */
  readonly path?: string | undefined;
  /** The configuration itself: no file is read then, unless `path` names one. */
  readonly text?: string | undefined;
  /** Default: the process's own. */
  readonly env?: NodeJS.ProcessEnv;
  /** Default places, for tests. */
  readonly defaultPaths?: readonly string[];
}

/** What stands for a file's name where there is none. */
const TEXT_NAME = "(runtime options)";

/**
 * Reads the configuration: the first of `path`, `MUKON_CONFIG`, `KATA_CONF_FILE`,
 * /etc/mukon/configuration.toml, /usr/share/mukon/configuration.toml, else the built-in defaults;
 * then every file of `config.d/` beside it, by name, of which later ones win key by key.
 *
 * @throws MukonError with a CONFIG_ code, naming file and line
 */
export async function loadConfiguration(options: LoadOptions = {}): Promise<LoadedConfiguration> {
  const sources = sourcesOf(options);
  if (sources.length === 0) return loadedDefaults();
  const values = new Map<string, unknown>();
  const origins = defaultOrigins();
  const warnings: string[] = [];
  for (const [index, { file, read: readSource }] of sources.entries()) {
    const read = readEntries(readSource());
    warnings.push(...read.warnings);
    const ignored = [...read.ignored];
    for (const entry of read.entries) {
      const whyLeft = whyKataPathIsLeft(entry);
      if (whyLeft !== undefined) {
        warnings.push(`${file}:${entry.line}: ${whyLeft}`);
        continue;
      }
      values.set(entry.setting.dottedKey, entry.value);
      const kind = index === 0 ? "file" : "drop-in";
      origins.set(entry.setting.dottedKey, { kind, file, line: entry.line });
      if (hasNoEffect(entry)) ignored.push({ key: entry.setting.dottedKey, line: entry.line });
    }
    if (ignored.length > 0) warnings.push(noEffectWarning(file, ignored));
  }
  const configuration = buildConfiguration(values);
  checkTogether(configuration, origins);
  if (!configuration.hypervisor.qemu.rootless) warnings.push(rootWarning(origins));
  return { configuration, origins, warnings, files: sources.map(({ file }) => file) };
}

interface Source {
  file: string;
  read: () => TomlFile;
}

/** The main one first, then those that win over it. */
function sourcesOf(options: LoadOptions): Source[] {
  const { path, text } = options;
  if (text !== undefined && (path ?? "") === "") {
    return [{ file: TEXT_NAME, read: () => parseToml(TEXT_NAME, text) }];
  }
  const mainFile = findConfigFile({ ...options, env: options.env ?? process.env });
  if (mainFile === undefined) return [];
  return [mainFile, ...findDropIns(mainFile)].map((file) => ({
    file,
    read: () => readTomlFile(file),
  }));
}

/** The configuration of a machine that has no configuration file. */
export function loadedDefaults(): LoadedConfiguration {
  return {
    configuration: buildConfiguration(new Map()),
    origins: defaultOrigins(),
    warnings: [],
    files: [],
  };
}

function defaultOrigins(): Map<string, Origin> {
  return new Map(SETTINGS.map((setting) => [setting.dottedKey, { kind: "default" }]));
}

function hasNoEffect({ setting, value }: Entry): boolean {
  if (setting.definition.effect === "active") return false;
  return JSON.stringify(value) !== JSON.stringify(setting.definition.default);
}

/** One list for each file: Kata's own would give dozens of lines with every pod. */
function noEffectWarning(file: string, ignored: readonly IgnoredKey[]): string {
  const keys = [...ignored]
    .sort((left, right) => left.line - right.line)
    .map(({ key, line }) => `${key} (line ${line})`);
  return `${file}: settings without effect in mukon: ${keys.join(", ")}.`;
}

function rootWarning(origins: ReadonlyMap<string, Origin>): string {
  const origin = origins.get("hypervisor.qemu.rootless") ?? { kind: "default" };
  return `${formatOrigin(origin)}: rootless is false, so VMMs run as root, except those of pods that ask for rootless.`;
}

/** Rules about more than one setting. */
function checkTogether(configuration: Configuration, origins: ReadonlyMap<string, Origin>): void {
  const { idRangeStart, idRangeEnd } = configuration.mukon;
  if (idRangeStart % ID_BLOCK_SIZE !== 0 || idRangeEnd % ID_BLOCK_SIZE !== 0) {
    throw conflict("id_range_start and id_range_end must be multiples of 65536", origins);
  }
  if (idRangeEnd <= idRangeStart) {
    throw conflict("id_range_end must be greater than id_range_start", origins);
  }
}

function conflict(rule: string, origins: ReadonlyMap<string, Origin>): MukonError {
  const set = ["mukon.id_range_start", "mukon.id_range_end"].flatMap((key) => {
    const origin = origins.get(key);
    return origin?.file === undefined ? [] : [`${origin.file}:${origin.line}`];
  });
  return new MukonError("CONFIG_CONFLICT", `${set.join(" and ")}: ${rule}.`, {
    hint: "Correct the range, or remove both lines to use the default.",
  });
}
