// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import { MukonError } from "../../errors/mukon-error.ts";
import { locateKeys } from "./locate.ts";

const MAX_FILE_BYTES = 1024 * 1024;
const WRITABLE_BY_OTHERS = 0o002;

/** A parsed file, with the line of each key. */
export interface TomlFile {
  readonly path: string;
  readonly root: Readonly<Record<string, unknown>>;
  readonly lines: ReadonlyMap<string, number>;
}

/**
 * Reads and parses one configuration file.
 *
 * @throws MukonError CONFIG_NOT_FOUND, CONFIG_UNREADABLE, CONFIG_UNSAFE, CONFIG_TOO_LARGE,
 * CONFIG_SYNTAX (with file and line)
 */
export function readTomlFile(path: string): TomlFile {
  return parseToml(path, readBounded(path));
}

/** The same for text that has been read already; `path` is for messages alone. */
export function parseToml(path: string, text: string): TomlFile {
  try {
    // Kata has settings of 64 bits; a number too large for JavaScript must not make the file unreadable.
    const root = parse(text, { maxDepth: 32, integersAsBigInt: "asNeeded" });
    return { path, root, lines: locateKeys(text) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw syntaxError(path, String(error), error);
    const reason = error.message.split("\n")[0] ?? "";
    throw syntaxError(`${path}:${error.line}:${error.column}`, reason, error);
  }
}

function syntaxError(place: string, reason: string, cause: unknown): MukonError {
  return new MukonError("CONFIG_SYNTAX", `${place}: ${reason}`, {
    hint: "Correct the file; it is TOML (https://toml.io).",
    cause,
  });
}

/** The checks are made on what was opened, so that nobody can swap the file in between. */
function readBounded(path: string): string {
  const descriptor = openFile(path);
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) {
      throw new MukonError("CONFIG_UNREADABLE", `${path} is not a regular file.`, {
        hint: "Name a file of TOML, or none to use the default places.",
      });
    }
    if ((status.mode & WRITABLE_BY_OTHERS) !== 0) {
      throw new MukonError(
        "CONFIG_UNSAFE",
        `${path} is writable by every user of this machine, who could so choose what runs as root.`,
        { hint: `Run: chmod o-w ${path}` },
      );
    }
    return readText(descriptor, path);
  } finally {
    closeSync(descriptor);
  }
}

function openFile(path: string): number {
  try {
    // Without O_NONBLOCK a fifo would hold us for ever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new MukonError("CONFIG_NOT_FOUND", `The configuration file ${path} does not exist.`, {
        hint: "Name an existing file, or none to use the default places.",
        cause: error,
      });
    }
    throw new MukonError(
      "CONFIG_UNREADABLE",
      `The configuration file ${path} cannot be opened: ${(error as Error).message}`,
      { hint: `See who may read it, and whether it is there: ls -l ${path}`, cause: error },
    );
  }
}

function readText(descriptor: number, path: string): string {
  const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.toString("utf8", 0, length);
    length += count;
    if (length > MAX_FILE_BYTES) {
      throw new MukonError("CONFIG_TOO_LARGE", `${path} is larger than ${MAX_FILE_BYTES} bytes.`);
    }
  }
}
