// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { guestDirectory } from "../../../src/linux/paths.ts";
import { whyImagesCannotBeTested } from "../../support/image-store.ts";
import { mukon, type Outcome, outcomeOf, startMukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { type Registry, startHostileRegistry, startRegistry } from "../../support/registry.ts";
import { writeShellImage } from "../../support/shell-image.ts";
import { folderWith } from "../../unit/config/helpers.ts";

const skip = whyImagesCannotBeTested(["docker-registry"]);
const TELL_ALL = 'echo "$0 $(id -u):$(id -g):$(id -G) $(pwd) $GREETING/$KEPT/$ADDED"';
const IMAGE_CONFIG = {
  Entrypoint: ["/bin/sh", "-c"],
  Cmd: [TELL_ALL, "by-default"],
  Env: ["PATH=/bin", "GREETING=from the image", "KEPT=yes"],
  User: "web",
  WorkingDir: "/srv",
};

describe("images at the command line", { skip }, () => {
  let world: PodWorld;
  let folder = "";
  let registry: Registry;
  let digest = "";
  const at = (name: string): string => join(folder, name);
  /** With a store of its own, which shares only the guest with that of the host. */
  const run = (...args: string[]): Promise<Outcome> =>
    mukon(args, { env: { MUKON_STATE_ROOT: at("state") } });

  before(async () => {
    world = new PodWorld();
    folder = mkdtempSync(join(tmpdir(), "mukon-cli-images-"));
    mkdirSync(at("state"));
    symlinkSync(guestDirectory(), at("state/guest"));
    digest = (await writeShellImage(at("layout"), { config: IMAGE_CONFIG, tag: "v1" }))
      .manifestDigest;
    copy(`oci:${at("layout")}:v1`, `oci-archive:${at("oci.tar")}:v1`);
    copy(`oci:${at("layout")}:v1`, `docker-archive:${at("docker.tar")}:team/app:v1`);
    registry = await startRegistry(at("registry"));
    registry.push(`oci:${at("layout")}:v1`, "team/app:v1");
  });
  after(async () => {
    await registry?.stop();
    rmSync(folder, { recursive: true, force: true });
    await world?.end();
  });

  test("pull prints the digest, ls lists every image once, rm removes it", async () => {
    const reference = `${registry.host}/team/app:v1`;
    const pulled = await run("image", "pull", reference);
    assert.equal(pulled.code, 0, pulled.stderr);
    assert.equal(pulled.stdout, `${digest}\n`);
    await run("image", "pull", `oci-archive:${at("oci.tar")}`);
    const archive = await run("image", "pull", `docker-archive:${at("docker.tar")}`);
    assert.equal(archive.code, 0, archive.stderr);

    const listed = await run("image", "ls", "--json");
    const images = JSON.parse(listed.stdout) as { reference: string; digest: string }[];
    const names = images.map((image) => image.reference).sort();
    const archives = [`docker-archive:${at("docker.tar")}`, `oci-archive:${at("oci.tar")}`];
    assert.deepEqual(names, [reference, "busybox", ...archives].sort());
    assert.equal(images.find((image) => image.reference === reference)?.digest, digest);
    const table = await run("image", "ls");
    assert.match(table.stdout, /^IMAGE +DIGEST +PULLED +SIZE\n/);
    assert.match(table.stdout, new RegExp(`^${reference} +${digest.slice(7, 19)} `, "m"));

    const removed = await run("image", "rm", ...names.filter((name) => name !== "busybox"));
    assert.equal(removed.code, 0, removed.stderr);
    const rest = JSON.parse((await run("image", "ls", "--json")).stdout) as unknown[];
    assert.equal(rest.length, 1);
  });

  test("a missing image says where it was looked for, at which stage, and what to do", async () => {
    const cases: [string[], string, RegExp][] = [
      [
        ["image", "pull", `${registry.host}/team/none:v1`],
        "IMAGE_NOT_FOUND",
        /cannot fetch .*none/,
      ],
      [["run", `${registry.host}/team/app:v9`], "IMAGE_NOT_FOUND", /cannot fetch .*app:v9/],
      [["run", "127.0.0.1:1/app"], "IMAGE_REGISTRY_UNREACHABLE", /cannot fetch 127\.0\.0\.1:1/],
      [["run", "--pull", "never", `${registry.host}/a:b`], "IMAGE_NOT_FOUND", /not on this host/],
      [["run", `oci:${at("layout")}:v9`], "IMAGE_NOT_FOUND", /layout:v9/],
      [["image", "rm", "nothing:here"], "IMAGE_NOT_FOUND", /nothing:here/],
      [["image", "rm", "busybox"], "IMAGE_BUILT_IN", /busybox/],
    ];
    for (const [args, code, message] of cases) {
      const result = await run(...args);
      assert.equal(result.code, 125, `${args}: ${result.stderr}`);
      assert.match(result.stderr, message);
      assert.match(result.stderr, new RegExp(`\\[${code}\\]\n {2}hint: .+`), result.stderr);
    }
  });

  test("an archive that is cut off names the stage that failed, and leaves no image", async () => {
    writeFileSync(at("broken.tar"), Buffer.alloc(3000, "x"));
    const result = await run("image", "pull", `docker-archive:${at("broken.tar")}`);
    assert.equal(result.code, 125);
    assert.match(result.stderr, /cannot fetch docker-archive:.*broken\.tar/);
    const images = JSON.parse((await run("image", "ls", "--json")).stdout) as unknown[];
    assert.equal(images.length, 1);
  });

  test("Ctrl-C during a pull ends it at once, and nothing of it stays", async () => {
    let isAsked = (): void => {};
    const asked = new Promise<void>((done) => {
      isAsked = done;
    });
    const silent = await startHostileRegistry(() => isAsked());
    const env = { MUKON_STATE_ROOT: at("state") };
    const child = startMukon(["run", `${silent.host}/a:b`], { env });
    const outcome = outcomeOf(child);
    await Promise.race([asked, outcome]);
    child.kill("SIGINT");
    assert.equal((await outcome).signal, "SIGINT");
    await silent.stop();
    assert.deepEqual(readdirSync(at("state/images/work")), []);
  });

  test("from a registry: entrypoint, command, environment, user and directory are the image's", async () => {
    const result = await run("run", "--rm", `${registry.host}/team/app:v1`);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.stdout, "by-default 1000:1001:1001 50 /srv from the image/yes/\n");
  });

  for (const kind of ["oci-archive", "docker-archive"] as const) {
    test(`from ${kind}: the container is the image's, like any other`, async () => {
      const file = kind === "oci-archive" ? "oci.tar" : "docker.tar";
      const result = await run("run", "--rm", `${kind}:${at(file)}`);
      assert.equal(result.code, 0, result.stderr);
      assert.equal(result.stdout, "by-default 1000:1001:1001 50 /srv from the image/yes/\n");
    });
  }

  test("from a directory: options win over the image, and files over nothing but the image", async (t) => {
    const files = folderWith(t, { env: "# from a file\nGREETING=file\nADDED=file\n" });
    const options = ["-u", "web:log", "-w", "/tmp", "--entrypoint", "/bin/busybox"];
    const environment = ["--env-file", join(files, "env"), "-e", "GREETING=mine"];
    const words = ["sh", "-c", TELL_ALL, "given"];
    const image = `oci:${at("layout")}:v1`;
    const result = await run("run", "--rm", ...options, ...environment, image, ...words);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.stdout, "given 1000:50:50 /tmp mine/yes/file\n");
  });
});

function copy(source: string, target: string): void {
  execFileSync("skopeo", ["copy", "--quiet", "--insecure-policy", source, target], {
    stdio: "pipe",
  });
}
