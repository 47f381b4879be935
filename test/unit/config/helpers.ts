// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type LoadOptions, loadConfiguration } from "../../../src/config/load.ts";
import type { LoadedConfiguration } from "../../../src/config/origin.ts";
import { MukonError } from "../../../src/errors/mukon-error.ts";

/** A folder that is gone when the test ends, with `files` in it. */
export function folderWith(test: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "mukon-config-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text, { mode: 0o644 });
  }
  return folder;
}

/** Loads `text` as the main file. */
export async function load(test: TestContext, text: string): Promise<LoadedConfiguration> {
  const folder = folderWith(test, { "configuration.toml": text });
  return await loadFrom({ path: join(folder, "configuration.toml") });
}

/** Loads without anything of this machine. */
export async function loadFrom(options: LoadOptions): Promise<LoadedConfiguration> {
  return await loadConfiguration({ env: {}, defaultPaths: [], ...options });
}

/** For assert.rejects and assert.throws: an error with this code whose message has all the texts. */
export function fails(code: string, ...texts: string[]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof MukonError)) throw error;
    const isExpected = error.code === code && texts.every((text) => error.message.includes(text));
    if (!isExpected)
      throw new Error(
        `wanted ${code} with ${texts.join(", ")}, got: [${error.code}] ${error.message}`,
      );
    return true;
  };
}
