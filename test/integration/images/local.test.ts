// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { resolveImage, rootfsFromDirectory } from "../../../src/images/resolve.ts";
import { listImages, removeImage } from "../../../src/images/store.ts";
import {
  storeEntries,
  useImageStore,
  whyImagesCannotBeTested,
  withMounted,
} from "../../support/image-store.ts";
import { writeLayout } from "../../support/oci-layout.ts";

const skip = whyImagesCannotBeTested();
const store = useImageStore();
let layout = "";

before(() => {
  if (skip !== false) return;
  layout = store.path("layout");
  writeLayout(layout, { layers: [[{ path: "text", data: "hello" }]], tag: "1.0" });
  copy("oci-archive", `${store.path("oci.tar")}:web`);
  copy("docker-archive", `${store.path("docker.tar")}:example/web:1`);
});

function copy(transport: string, target: string, options: string[] = []): void {
  const argv = [
    "copy",
    "--quiet",
    "--insecure-policy",
    ...options,
    `oci:${layout}:1.0`,
    `${transport}:${target}`,
  ];
  execFileSync("skopeo", argv, { stdio: "pipe" });
}

async function textOf(reference: string): Promise<string> {
  const image = await resolveImage(reference);
  assert.deepEqual(image.config.cmd, ["/bin/hello"]);
  return withMounted(image.layers[0] ?? "", (root) => readFileSync(join(root, "text"), "utf8"));
}

test("layouts and archives of all kinds are read, with the image named or not", {
  skip,
}, async () => {
  for (const reference of [
    `oci:${layout}`,
    `oci:${layout}:1.0`,
    `oci-archive:${store.path("oci.tar")}`,
    `oci-archive:${store.path("oci.tar")}:web`,
    `docker-archive:${store.path("docker.tar")}`,
    `docker-archive:${store.path("docker.tar")}:example/web:1`,
  ]) {
    assert.equal(await textOf(reference), "hello", reference);
  }
  const listed = (await listImages()).filter((image) => !image.isBuiltIn);
  assert.equal(listed.length, 6);
  assert.ok(storeEntries("content").length <= 2);
});

test("layers packed with zstd are unpacked too, and the image is the same", {
  skip,
}, async () => {
  const packed = store.path("zstd");
  copy("oci", packed, ["--dest-compress-format", "zstd"]);
  const blobs = join(packed, "blobs/sha256");
  const isZstd = (name: string): boolean =>
    readFileSync(join(blobs, name))
      .subarray(0, 4)
      .equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]));
  assert.ok(readdirSync(blobs).some(isZstd), "skopeo packed nothing with zstd");
  for (const image of await listImages()) if (!image.isBuiltIn) await removeImage(image.reference);
  assert.equal(await textOf(`oci:${packed}`), "hello");
  // Its layers were packed anew, yet it counts as the image that it was.
  await resolveImage(`oci:${layout}`);
  assert.equal(storeEntries("content").length, 1);
});

test("files that only root may read are read, and their permissions stay", { skip }, async () => {
  const secret = store.path("secret");
  mkdirSync(secret, { mode: 0o700 });
  writeLayout(join(secret, "layout"), { layers: [[{ path: "text", data: "hello" }]] });
  const files = [
    join(secret, "layout"),
    join(secret, "docker.tar"),
    join(secret, "layout/index.json"),
  ];
  writeFileSync(files[1] ?? "", readFileSync(store.path("docker.tar")));
  for (const file of files) chmodSync(file, lstatSync(file).mode & ~0o077);
  assert.equal(await textOf(`oci:${join(secret, "layout")}`), "hello");
  assert.equal(await textOf(`docker-archive:${join(secret, "docker.tar")}`), "hello");
  for (const file of files) assert.equal(lstatSync(file).mode & 0o077, 0, file);
  assert.deepEqual(storeEntries("work"), []);
});

test("a file that changed is read again", { skip }, async () => {
  const changing = store.path("changing");
  writeLayout(changing, { layers: [[{ path: "text", data: "old" }]] });
  assert.equal(await textOf(`oci:${changing}`), "old");
  writeLayout(changing, { layers: [[{ path: "text", data: "new" }]] });
  assert.equal(await textOf(`oci:${changing}`), "new");
});

test("what is not there, or no image, is said so", { skip }, async () => {
  const garbage = store.path("garbage");
  writeFileSync(garbage, "x".repeat(10_000));
  mkdirSync(store.path("empty"));
  const cases = {
    [`oci:${store.path("none")}`]: "IMAGE_NOT_FOUND",
    [`oci-archive:${store.path("none")}`]: "IMAGE_NOT_FOUND",
    [`oci:${store.path("garbage")}`]: "IMAGE_NOT_FOUND",
    [`docker-archive:${layout}`]: "IMAGE_NOT_FOUND",
    [`oci:${layout}:none`]: "IMAGE_NOT_FOUND",
  };
  for (const [reference, code] of Object.entries(cases)) {
    await assert.rejects(resolveImage(reference), { code }, reference);
  }
  for (const kind of ["oci-archive", "docker-archive"]) {
    await assert.rejects(resolveImage(`${kind}:${garbage}`), { name: "MukonError" });
  }
  await assert.rejects(resolveImage(`oci:${store.path("empty")}`), { name: "MukonError" });
  assert.deepEqual(storeEntries("work"), []);
});

test("a blob that was tampered with is found out", { skip }, async () => {
  const bad = store.path("tampered");
  writeLayout(bad, { layers: [[{ path: "text", data: "hello" }]] });
  const index = JSON.parse(readFileSync(join(bad, "index.json"), "utf8"));
  const blob = (digest: string): string => join(bad, "blobs/sha256", digest.slice(7));
  const manifest = JSON.parse(readFileSync(blob(index.manifests[0].digest), "utf8"));
  const path = blob(manifest.layers[0].digest);
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20);
  writeFileSync(path, bytes);
  await assert.rejects(resolveImage(`oci:${bad}`), { code: "IMAGE_PULL_FAILED" });
});

test("a directory becomes a root file system as it is", { skip }, async () => {
  const tree = store.path("tree");
  mkdirSync(join(tree, "etc"), { recursive: true });
  writeFileSync(join(tree, "etc/passwd"), "web:x:1000:1000::/:\n");
  writeFileSync(join(tree, "private"), "mine", { mode: 0o600 });
  chownSync(join(tree, "private"), 100_000, 7);
  symlinkSync("/etc/shadow", join(tree, "link"));
  const image = await rootfsFromDirectory(tree);
  assert.deepEqual(image.accounts.users, [{ name: "web", uid: 1000, gid: 1000 }]);
  await withMounted(image.layers[0] ?? "", (root) => {
    const stat = lstatSync(join(root, "private"));
    assert.deepEqual([stat.uid, stat.gid, stat.mode & 0o777], [100_000, 7, 0o600]);
    assert.equal(readFileSync(join(root, "private"), "utf8"), "mine");
    assert.equal(lstatSync(join(root, "link")).isSymbolicLink(), true);
  });
  assert.deepEqual(await rootfsFromDirectory(tree), image);
  writeFileSync(join(tree, "private"), "changed");
  const changed = await rootfsFromDirectory(tree);
  assert.notDeepEqual(changed.layers, image.layers);
  assert.deepEqual((await removeImage(`dir:${tree}`)).removed, [`dir:${tree}`]);
});

test("what is no directory cannot be a root file system", { skip }, async () => {
  for (const path of [store.path("none"), store.path("docker.tar")]) {
    await assert.rejects(rootfsFromDirectory(path), { code: "ROOTFS_DIRECTORY_INVALID" });
  }
});
