// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";

/** Read when no file is named: the first that exists. */
export const DEFAULT_CONFIG_PATHS: readonly string[] = [
  "/etc/mukon/configuration.toml",
  "/usr/share/mukon/configuration.toml",
];

/** Environment variables that name the file, the strongest first. */
export const CONFIG_VARIABLES: readonly string[] = ["MUKON_CONFIG", "KATA_CONF_FILE"];

const MAX_DROP_INS = 256;

/** Where to look. */
export interface LookupOptions {
  /** Wins over everything. */
  readonly path?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Default: {@link DEFAULT_CONFIG_PATHS}. */
  readonly defaultPaths?: readonly string[] | undefined;
}

/** The main file with symbolic links followed, or undefined when there is none anywhere. */
export function findConfigFile(options: LookupOptions): string | undefined {
  if (options.path !== undefined && options.path !== "") return resolveNamed(options.path, "");
  for (const name of CONFIG_VARIABLES) {
    const path = options.env[name];
    if (path !== undefined && path !== "") return resolveNamed(path, ` (named by ${name})`);
  }
  const found = (options.defaultPaths ?? DEFAULT_CONFIG_PATHS).find((path) => existsSync(path));
  return found === undefined ? undefined : realpathSync(found);
}

/** A file that was named but is missing is an error: other settings might be far looser. */
function resolveNamed(path: string, source: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new MukonError(
      "CONFIG_NOT_FOUND",
      `The configuration file ${path}${source} cannot be found: ${(error as Error).message}`,
      { hint: "Name an existing file, or none to use the default places.", cause: error },
    );
  }
}

/** Files of `config.d/` beside the main file, by name. */
export function findDropIns(mainFile: string): string[] {
  const folder = join(dirname(mainFile), "config.d");
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new MukonError(
      "CONFIG_UNREADABLE",
      `The folder of drop-ins ${folder} cannot be read: ${(error as Error).message}`,
      { hint: `Make it a folder that root can read, or remove it: ls -ld ${folder}`, cause: error },
    );
  }
  if (names.length > MAX_DROP_INS) {
    throw new MukonError(
      "CONFIG_TOO_LARGE",
      `${folder} holds ${names.length} files, more than ${MAX_DROP_INS}.`,
    );
  }
  // Names that begin with a dot belong to editors and package managers.
  const visible = names.filter((name) => !name.startsWith(".")).sort();
  return visible.map((name) => join(folder, name));
}
