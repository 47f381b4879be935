// SPDX-License-Identifier: Apache-2.0
// Runs the test files below the given paths with Node's own test runner.
//   node scripts/run-tests.mjs [--serial] PATH…
// With MUKON_TEST_START=cloned in the environment, pods are clones of a template, which is made first;
// they are booted otherwise, but for those of tests that are about templates.
import { spawn, spawnSync } from "node:child_process";
import { testFiles } from "./test-files.mjs";

// Tests make files for users that are nobody; what a stricter one does to mukon has a test of its own.
process.umask(0o022);
const args = process.argv.slice(2);
const serial = args.includes("--serial");
const files = testFiles(args.filter((argument) => argument !== "--serial"));
if (process.env.MUKON_TEST_START === "cloned") makeTemplate();
const child = spawn(
  process.execPath,
  [
    "--import",
    "tsx",
    "--import",
    "./scripts/property-seed.mjs",
    "--test",
    "--test-reporter=spec",
    ...(serial ? ["--test-concurrency=1"] : []),
    ...files,
  ],
  { stdio: ["ignore", "inherit", "inherit"] },
);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));

function makeTemplate() {
  const argv = ["--", "dist/mukon.cjs", "guest", "template", "build"];
  const { status } = spawnSync(process.execPath, argv, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) process.exit(1);
}
