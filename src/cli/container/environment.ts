// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";

const NAME = /^[^=\s\0]+$/;

export interface EnvironmentSources {
  /** NAME=value, from the image. */
  image: readonly string[];
  /** Paths given by `--env-file`. */
  files: readonly string[];
  /** `-e NAME=value`, or `-e NAME` to take the value of the caller's environment. */
  options: readonly string[];
  terminal: boolean;
}

/** The container's environment: image, then files, then options; the last one of a name wins. */
export function containerEnvironment(sources: EnvironmentSources): string[] {
  const result = new Map<string, string>();
  result.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  if (sources.terminal) result.set("TERM", "xterm");
  for (const entry of sources.image) add(result, entry, "the image");
  for (const file of sources.files) {
    for (const entry of linesOf(file)) add(result, entry, file);
  }
  for (const entry of sources.options) add(result, entry, "-e");
  return [...result].map(([name, value]) => `${name}=${value}`);
}

function add(result: Map<string, string>, entry: string, origin: string): void {
  const equals = entry.indexOf("=");
  const name = equals < 0 ? entry : entry.slice(0, equals);
  if (!NAME.test(name) || entry.includes("\0")) {
    throw new MukonError(
      "ENVIRONMENT_FILE_INVALID",
      `${JSON.stringify(entry)} (${origin}) is not NAME=value or NAME`,
      {
        hint: "write one variable a line, without spaces in its name",
      },
    );
  }
  const value = equals < 0 ? process.env[name] : entry.slice(equals + 1);
  if (value !== undefined) result.set(name, value);
}

/** Empty lines and lines that begin with '#' are skipped, as in Docker's files. */
function linesOf(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new MukonError(
      "ENVIRONMENT_FILE_INVALID",
      `cannot read ${file}: ${(cause as Error).message}`,
      {
        hint: "check the path given to --env-file",
        cause,
      },
    );
  }
  return text.split(/\r?\n/).filter((line) => line.trim() !== "" && !line.startsWith("#"));
}
