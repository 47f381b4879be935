// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { MUKON, mukon, outcomeOf } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

const FAILED = 125;
const INSTALLER = join(import.meta.dirname, "../../../scripts/install.mjs");

/** What fails before a VM is made: one code, one sentence why, one hint, and nothing left. */
describe("what cannot work", () => {
  let world: PodWorld;
  let folder: string;
  before(() => {
    world = new PodWorld();
    folder = mkdtempSync(join(tmpdir(), "mukon-cli-"));
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await world.end();
  });

  const assertFails = async (args: string[], code: string, message: RegExp): Promise<void> => {
    const result = await mukon(args);
    assert.equal(result.code, FAILED, result.stderr);
    assert.equal(result.stdout, "");
    assert.match(result.stderr, message);
    assert.match(result.stderr, new RegExp(`\\[${code}\\]\n {2}hint: .+\n$`));
    await world.assertNothingLeft();
  };

  for (const command of ["logs", "kill", "stop", "rm", "inspect", "audit"]) {
    test(`mukon ${command} of a container that is not there`, () =>
      assertFails([command, "nobody"], "CONTAINER_NOT_FOUND", /no container "nobody"/));
  }

  test("mukon exec in a container that is not there", () =>
    assertFails(["exec", "nobody", "true"], "CONTAINER_NOT_FOUND", /no container "nobody"/));

  test("files that are not there", async () => {
    const [nowhere, cases] = [join(folder, "nowhere"), [] as [string[], string][]];
    cases.push(
      [["run", "--env-file", nowhere, "busybox"], "ENVIRONMENT_FILE_INVALID"],
      [["run", "--rootfs", nowhere, "true"], "ROOTFS_DIRECTORY_INVALID"],
      [["run", "--config", nowhere, "busybox"], "CONFIG_NOT_FOUND"],
      [["run", `oci:${nowhere}`], "IMAGE_NOT_FOUND"],
      [["run", `oci-archive:${nowhere}`], "IMAGE_NOT_FOUND"],
      [["run", `docker-archive:${nowhere}`], "IMAGE_NOT_FOUND"],
    );
    for (const [args, code] of cases) await assertFails(args, code, new RegExp(nowhere));
  });

  test("the installed command keeps Node from reading --env-file", async () => {
    const env = { ...process.env, MUKON_PREFIX: join(folder, "prefix") };
    execFileSync(process.execPath, [INSTALLER], { env });
    const child = spawn(join(folder, "prefix/bin/mukon"), [
      "run",
      "--env-file",
      "/no/such",
      "busybox",
    ]);
    const result = await outcomeOf(child);
    assert.equal(result.code, FAILED, result.stderr);
    assert.match(result.stderr, /\[ENVIRONMENT_FILE_INVALID\]/);
  });

  test("a line of an environment file that is none", async () => {
    const file = join(folder, "variables");
    writeFileSync(file, "GOOD=1\nnot a name=2\n");
    await assertFails(
      ["run", "--env-file", file, "busybox", "true"],
      "ENVIRONMENT_FILE_INVALID",
      /"not a name=2" \(.*variables\)/,
    );
  });

  test("an image that is written wrongly, a user it does not have, nothing to run", async () => {
    await assertFails(["run", "BAD:::name"], "IMAGE_REFERENCE_INVALID", /BAD:::name/);
    await assertFails(["run", "-u", "someone", "busybox"], "USER_NOT_FOUND", /no user "someone"/);
    await assertFails(["run", "--entrypoint", "", "busybox"], "NO_COMMAND", /what to run/);
  });

  test("a terminal where there is none", () =>
    assertFails(["run", "-t", "busybox"], "NOT_A_TERMINAL", /not a terminal/));

  test("a shim that is not installed: the bundle that was made for it is removed again", async () => {
    const result = await mukon(["run", "busybox"], { env: { MUKON_SHIM: "no-such-shim" } });
    assert.equal(result.code, FAILED);
    assert.match(result.stderr, /no-such-shim is not installed/);
    await world.assertNothingLeft();
  });

  test("an annotation that is not enabled, or of a wrong value, before any image is read", async () => {
    const prefix = "io.katacontainers.config.hypervisor";
    const run = (annotation: string): string[] => ["run", "--annotation", annotation, "oci:/none"];
    await assertFails(run(`${prefix}.path=/bin/sh`), "ANNOTATION_NOT_ENABLED", /path/);
    await assertFails(run(`${prefix}.rootless=perhaps`), "ANNOTATION_VALUE", /perhaps/);
  });

  test("commands about pods say that they need root, and how to have it", async () => {
    const commands = [["ps"], ["run", "busybox"], ["image", "ls"], ["audit"], ["gc"]];
    commands.push(["guest", "info"], ["rm", "x"], ["exec", "x", "y"]);
    for (const command of commands) {
      const result = await asNobody(command);
      assert.equal(result.code, FAILED, result.stderr);
      assert.match(result.stderr, /needs root \[ROOT_REQUIRED\]\n {2}hint: run it as: sudo mukon /);
    }
    const settings = await asNobody(["config", "show"]);
    assert.equal(settings.code, 0, settings.stderr);
  });
});

/** A user namespace without a mapping: not root there, yet able to read this checkout. */
function asNobody(args: string[]): ReturnType<typeof mukon> {
  const child = spawn("unshare", ["--user", "--", ...MUKON, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  return outcomeOf(child);
}
