// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { readLayout } from "../../../src/images/layout.ts";
import { type LayoutOptions, writeLayout } from "../../support/oci-layout.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-layout-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function make(change?: LayoutOptions["change"]): ReturnType<typeof writeLayout> {
  return writeLayout(directory, {
    layers: [[{ path: "a" }], [{ path: "b" }]],
    ...(change === undefined ? {} : { change }),
  });
}

function blobPath(digest: string): string {
  return join(directory, "blobs/sha256", digest.slice("sha256:".length));
}

const refused = { code: "IMAGE_INVALID" };

test("the image of a layout is read", () => {
  const { manifestDigest, configDigest } = make();
  const image = readLayout(directory, "web:1");
  assert.equal(image.manifestDigest, manifestDigest);
  assert.equal(image.configDigest, configDigest);
  assert.equal(image.layerCount, 2);
});

test("a document that is not what its digest says is refused", () => {
  for (const which of ["manifestDigest", "configDigest"] as const) {
    const digests = make();
    writeFileSync(blobPath(digests[which]), JSON.stringify({ config: {} }));
    assert.throws(() => readLayout(directory, "web:1"), refused);
  }
});

test("a link in place of a document is not followed", () => {
  const { configDigest } = make();
  const moved = join(directory, "moved");
  renameSync(blobPath(configDigest), moved);
  symlinkSync(moved, blobPath(configDigest));
  assert.throws(() => readLayout(directory, "web:1"), refused);
});

test("huge, missing and malformed documents are refused", () => {
  make();
  const index = join(directory, "index.json");
  for (const text of [
    "",
    "{",
    "[]",
    "null",
    '{"manifests":[]}',
    '{"manifests":[{"digest":"../x"}]}',
  ]) {
    writeFileSync(index, text);
    assert.throws(() => readLayout(directory, "web:1"), refused, text);
  }
  truncateSync(index, 5 * 1024 * 1024);
  assert.throws(() => readLayout(directory, "web:1"), refused);
  rmSync(index);
  assert.throws(() => readLayout(directory, "web:1"), refused);
});

test("config and manifest must agree on the layers", () => {
  make(({ config }) => {
    config.rootfs = { type: "layers", diff_ids: [] };
  });
  assert.throws(() => readLayout(directory, "web:1"), { ...refused, message: /differ/ });
});

test("layers of an unknown kind are named", () => {
  writeLayout(directory, {
    layers: [[{ path: "a" }]],
    mediaType: "application/vnd.oci.image.layer.v1.tar+brotli",
  });
  assert.throws(() => readLayout(directory, "web:1"), { ...refused, message: /brotli/ });
});

test("endless lists of layers are refused", () => {
  make(({ manifest }) => {
    const [layer] = manifest.layers as unknown[];
    manifest.layers = new Array(513).fill(layer);
  });
  assert.throws(() => readLayout(directory, "web:1"), refused);
});
