// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DEFAULT_LIMITS } from "../../../src/images/limits.ts";
import { resolveImage } from "../../../src/images/resolve.ts";
import { listImages, removeImage } from "../../../src/images/store.ts";
import { storeEntries, useImageStore, whyImagesCannotBeTested } from "../../support/image-store.ts";
import { writeLayout } from "../../support/oci-layout.ts";
import { type Registry, startHostileRegistry, startRegistry } from "../../support/registry.ts";

const skip = whyImagesCannotBeTested(["docker-registry"]);
/** What skopeo sends without a login: an empty name and password. */
const EMPTY = `Basic ${Buffer.from(":").toString("base64")}`;
const store = useImageStore();
let registry: Registry | undefined;
let host = "";

before(async () => {
  if (skip !== false) return;
  registry = await startRegistry(store.path("registry"));
  host = registry.host;
  push("web:1", "first");
});
after(() => registry?.stop());

/** Makes an image with one file of this text, and pushes it. */
function push(name: string, text: string): string {
  const layout = store.path(`layout-${text}`);
  const { manifestDigest } = writeLayout(layout, {
    layers: [[{ path: "text", data: text }], [{ path: "more", data: "more" }]],
    config: { Cmd: [text] },
  });
  registry?.push(`oci:${layout}:latest`, name);
  return manifestDigest;
}

test("an image is pulled once, and then is here", { skip }, async () => {
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const image = await resolveImage(`${host}/web:1`, { log });
  assert.equal(image.reference, `${host}/web:1`);
  assert.deepEqual(image.config.cmd, ["first"]);
  assert.equal(image.layers.length, 1);
  assert.ok(existsSync(image.layers[0] ?? ""));
  assert.match(lines.join("\n"), /downloading .*\nunpacking 2 layers/);
  assert.deepEqual(await resolveImage(`${host}/web:1`, { pull: "never", log }), image);
  assert.equal(lines.length, 2);
});

test("the digest is the registry's, and names the same image", { skip }, async () => {
  const digest = push("web:digest", "digest");
  const byTag = await resolveImage(`${host}/web:digest`);
  assert.equal(byTag.digest, digest);
  const byDigest = await resolveImage(`${host}/web@${digest}`);
  assert.deepEqual(byDigest.layers, byTag.layers);
  await removeImage(`${host}/web:digest`);
  await removeImage(`${host}/web@${digest}`);
});

test("a tag that moved is noticed when asked for, and not before", { skip }, async () => {
  push("moving:1", "old");
  const old = await resolveImage(`${host}/moving:1`);
  push("moving:1", "new");
  assert.deepEqual(await resolveImage(`${host}/moving:1`), old);
  const fresh = await resolveImage(`${host}/moving:1`, { pull: "always" });
  assert.deepEqual(fresh.config.cmd, ["new"]);
  // Somebody may just be opening it.
  assert.ok(existsSync(old.layers[0] ?? ""));
  await removeImage(`${host}/moving:1`);
  assert.equal(existsSync(fresh.layers[0] ?? ""), false);
});

test("many that ask at once get one image, made once", { skip }, async () => {
  push("many:1", "many");
  registry?.push(`oci:${store.path("layout-many")}:latest`, "other:1");
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const names = ["many:1", "many:1", "other:1", "many:1", "other:1", "many:1"];
  const images = await Promise.all(
    names.map((name, index) =>
      resolveImage(`${host}/${name}`, { log, pull: index % 2 === 0 ? "missing" : "always" }),
    ),
  );
  assert.equal(new Set(images.map((image) => image.layers.join())).size, 1);
  assert.equal(lines.filter((line) => line.startsWith("unpacking")).length, 1);
  assert.ok(lines.filter((line) => line.startsWith("downloading")).length <= 2);
  assert.deepEqual(storeEntries("work"), []);
});

test("content stays as long as one reference names it", { skip }, async () => {
  const [path = ""] = (await resolveImage(`${host}/many:1`)).layers;
  const listed = (await listImages()).filter((image) => !image.isBuiltIn);
  const twins = listed.filter((image) => /\/(many|other):1$/.test(image.reference));
  assert.equal(twins.length, 2);
  assert.equal(twins[0]?.imageId, twins[1]?.imageId);
  assert.equal(twins[0]?.sizeBytes, readFileSync(path).length);
  const first = await removeImage(`${host}/many:1`);
  assert.deepEqual(first, { removed: [`${host}/many:1`], freedBytes: 0 });
  assert.ok(existsSync(path));
  const second = await removeImage(twins[0]?.imageId.slice("sha256:".length, 20) ?? "");
  assert.deepEqual(second.removed, [`${host}/other:1`]);
  assert.ok(second.freedBytes > 0);
  assert.equal(existsSync(path), false);
  await assert.rejects(removeImage(`${host}/other:1`), { code: "IMAGE_NOT_FOUND" });
});

test("what the registry does not have is said so", { skip }, async () => {
  for (const name of ["web:none", "none:1"]) {
    await assert.rejects(resolveImage(`${host}/${name}`), { code: "IMAGE_NOT_FOUND" });
  }
  await assert.rejects(resolveImage(`${host}/other:1`, { pull: "never" }), {
    code: "IMAGE_NOT_FOUND",
    hint: /image pull/,
  });
  assert.deepEqual(storeEntries("work"), []);
});

test("a registry that is not there is said so", { skip }, async () => {
  const { host: gone, stop } = await startHostileRegistry((_request, response) => response.end());
  await stop();
  await assert.rejects(resolveImage(`${gone}/web:1`), { code: "IMAGE_REGISTRY_UNREACHABLE" });
});

test("a login that the registry wants is said so", { skip }, async () => {
  const { host: closed, stop } = await startHostileRegistry((_request, response) => {
    response.writeHead(401, { "WWW-Authenticate": 'Basic realm="x"' }).end();
  });
  await assert.rejects(resolveImage(`${closed}/web:1`), { code: "IMAGE_PULL_DENIED" });
  await stop();
});

test("the login goes to its registry, and nobody else", { skip }, async () => {
  const seen: (string | undefined)[] = [];
  const { host: closed, stop } = await startHostileRegistry((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(401, { "WWW-Authenticate": 'Basic realm="x"' }).end();
  });
  const auth = Buffer.from("user:word").toString("base64");
  const path = store.path("auth.json");
  process.env.REGISTRY_AUTH_FILE = path;
  for (const [name, expected] of [
    [closed, [`Basic ${auth}`]],
    ["other.example", []],
  ] as const) {
    seen.length = 0;
    writeFileSync(path, JSON.stringify({ auths: { [name]: { auth } } }));
    await assert.rejects(resolveImage(`${closed}/web:1`));
    assert.deepEqual(
      [...new Set(seen.filter((header) => header !== undefined && header !== EMPTY))],
      expected,
    );
  }
  delete process.env.REGISTRY_AUTH_FILE;
  await stop();
});

test("a registry that lies about content is found out", { skip }, async () => {
  const manifest = readManifest(push("lie:1", "lie"));
  const { host: liar, stop } = await startHostileRegistry((request, response) => {
    const isManifest = request.url?.includes("/manifests/");
    if (isManifest) response.setHeader("Content-Type", JSON.parse(manifest).mediaType);
    response.end(isManifest ? manifest : request.url?.includes("/blobs/") ? "other bytes" : "{}");
  });
  await assert.rejects(resolveImage(`${liar}/lie:1`), { code: "IMAGE_PULL_FAILED" });
  await stop();
  assert.deepEqual(storeEntries("work"), []);
});

test("a registry that sends without end is stopped", { skip }, async () => {
  const { host: endless, stop } = await startHostileRegistry((request, response) => {
    if (!request.url?.includes("/manifests/")) {
      response.end("{}");
      return;
    }
    response.setHeader("Content-Type", "application/vnd.oci.image.manifest.v1+json");
    const more = (): void => {
      while (response.write(Buffer.alloc(65_536, "a")));
    };
    response.on("drain", more);
    more();
  });
  await assert.rejects(resolveImage(`${endless}/web:1`));
  await stop();
});

test("a registry that never answers costs no more than the time given", { skip }, async () => {
  const { host: silent, stop } = await startHostileRegistry(() => {});
  const limits = { ...DEFAULT_LIMITS, timeoutMs: 1_000 };
  await assert.rejects(resolveImage(`${silent}/web:1`, { limits }), {
    code: "IMAGE_REGISTRY_UNREACHABLE",
  });
  await stop();
  assert.deepEqual(storeEntries("work"), []);
});

function readManifest(digest: string): string {
  const hex = digest.slice("sha256:".length);
  const text = readFileSync(join(store.path("layout-lie"), "blobs/sha256", hex), "utf8");
  assert.equal(createHash("sha256").update(text).digest("hex"), hex);
  return text;
}
