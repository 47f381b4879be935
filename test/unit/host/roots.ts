// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";

const VARIABLES = {
  MUKON_RUN_ROOT: "run",
  MUKON_STATE_ROOT: "state",
  MUKON_RUNTIME_DIR_ROOT: "user",
} as const;

/** Moves all that mukon keeps on a host into a folder of this test file. */
export function useTemporaryRoots(): { root: () => string } {
  let root = "";
  const saved = new Map<string, string | undefined>();
  before(() => {
    root = mkdtempSync(join(tmpdir(), "mukon-host-"));
    for (const [variable, name] of Object.entries(VARIABLES)) {
      saved.set(variable, process.env[variable]);
      process.env[variable] = join(root, name);
    }
    mkdirSync(join(root, "user"), { mode: 0o755 });
  });
  after(() => {
    for (const [variable, value] of saved) {
      if (value === undefined) delete process.env[variable];
      else process.env[variable] = value;
    }
    rmSync(root, { recursive: true, force: true });
  });
  return { root: () => root };
}
