// SPDX-License-Identifier: Apache-2.0
// Runs the test files below the given paths, each with a test host of its own. When a host stops answering
// (not mukon, but the emulator below it), that is said, and its file is run once more, on a new one.
//   node scripts/run-testhost-tests.mjs PATH…
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testFiles } from "./test-files.mjs";

const TRIES = 2;
const directory = mkdtempSync(join(tmpdir(), "mukon-testhost-lost-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
const files = testFiles(process.argv.slice(2));
const failed = files.filter((file) => !passes(file));
for (const file of failed) console.error(`failed on the test host: ${file}`);
process.exit(failed.length === 0 ? 0 : 1);

function passes(file) {
  for (let tries = 1; ; tries += 1) {
    const lost = join(directory, `${files.indexOf(file)}-${tries}`);
    const argv = ["scripts/run-tests.mjs", "--serial", file];
    const env = { ...process.env, MUKON_TESTHOST_LOST: lost };
    const { status } = spawnSync(process.execPath, argv, {
      stdio: ["ignore", "inherit", "inherit"],
      env,
    });
    if (status === 0) return true;
    if (!existsSync(lost) || tries === TRIES) return false;
    console.error(`\n${readFileSync(lost, "utf8")}\nOnce more, on a new test host: ${file}`);
  }
}
