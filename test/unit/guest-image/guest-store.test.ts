// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rm,
  stat,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import {
  describeGuest,
  GUEST_FILES,
  type GuestInputs,
  type GuestManifest,
} from "../../../guest/image/manifest.ts";
import { openGuest } from "../../../guest/image/open.ts";
import { findGuest, publishGuest } from "../../../guest/image/store.ts";

let root = "";
let stampPath = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "mukon-guest-"));
  stampPath = join(root, "run", "guest-verified.json");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const hash = "0".repeat(64);
const inputs: GuestInputs = {
  recipe: hash,
  release: "trixie",
  packages: [{ name: "crun", version: "1", sha256: hash }],
  node: { version: "v20.19.0", sha256: hash },
  agent: { sha256: hash },
  erofsUtils: "1.5",
};

/** Publishes a guest whose files hold `content`. */
async function publish(content: string, version = "1.5"): Promise<GuestManifest> {
  const stage = join(root, ".build-stage");
  await mkdir(stage);
  for (const name of Object.values(GUEST_FILES)) await writeFile(join(stage, name), content);
  const manifest = await describeGuest(stage, { ...inputs, erofsUtils: version }, "6.12");
  await publishGuest(root, stage, manifest);
  return manifest;
}

const open = () => openGuest({ root, stampPath });

test("without a build, the error names the command", async () => {
  await assert.rejects(open(), { code: "GUEST_NOT_BUILT", hint: /mukon guest build/ });
});

test("a published guest is opened, its files readable by all, its directory by root alone", async () => {
  const { contentHash } = await publish("one");
  const guest = await open();
  assert.equal(guest.manifest.contentHash, contentHash);
  assert.equal((await stat(guest.kernelPath)).mode & 0o777, 0o444);
  assert.equal((await stat(guest.directory)).mode & 0o777, 0o700);
});

test("the same inputs find the guest that was made from them", async () => {
  const { inputsHash, contentHash } = await publish("one");
  assert.equal((await findGuest(root, inputsHash))?.contentHash, contentHash);
  assert.equal(await findGuest(root, hash), undefined);
});

test("a new guest becomes current; only the one before it is kept", async () => {
  const first = await publish("one", "1");
  const second = await publish("two", "2");
  const third = await publish("three", "3");
  assert.equal(await readlink(join(root, "current")), third.contentHash);
  const names = await readdir(root);
  assert.ok(names.includes(second.contentHash));
  assert.ok(!names.includes(first.contentHash));
});

for (const name of Object.values(GUEST_FILES)) {
  test(`a changed ${name} is refused, even when its size and time are the same`, async () => {
    await publish("content");
    const guest = await open();
    const path = join(guest.directory, name);
    const { atime, mtime } = await stat(path);
    await chmod(path, 0o600);
    await writeFile(path, "CONTENT");
    await utimes(path, atime, mtime);
    await assert.rejects(open(), { code: "GUEST_HASH_MISMATCH", message: new RegExp(name) });
    await assert.rejects(
      open(),
      { code: "GUEST_HASH_MISMATCH" },
      "the refusal is remembered as success",
    );
  });
}

test("a missing or cut file is refused", async () => {
  await publish("content");
  const { imagePath } = await open();
  await chmod(imagePath, 0o600);
  await writeFile(imagePath, "con");
  await assert.rejects(open(), { code: "GUEST_HASH_MISMATCH", message: /3 bytes/ });
  await rm(imagePath);
  await assert.rejects(open(), { code: "GUEST_HASH_MISMATCH", message: /not there/ });
});

const manifests: { why: string; change: (text: string) => string; code: string }[] = [
  { why: "no JSON", change: () => "{", code: "GUEST_MANIFEST_INVALID" },
  { why: "empty", change: () => "{}", code: "GUEST_MANIFEST_INVALID" },
  {
    why: "a path in place of a name",
    change: (text) => text.replace('"name": "vmlinux"', '"name": "../vmlinux"'),
    code: "GUEST_MANIFEST_INVALID",
  },
  {
    why: "another hash for a file",
    change: (text) => text.replace(/("name": "initrd",\s+"sha256": ")[0-9a-f]{64}/, `$1${hash}`),
    code: "GUEST_HASH_MISMATCH",
  },
];

for (const { why, change, code } of manifests) {
  test(`a manifest with ${why} is refused`, async () => {
    const { contentHash, ...rest } = await publish("content");
    const path = join(root, contentHash, "manifest.json");
    await chmod(path, 0o600);
    await writeFile(path, change(JSON.stringify({ ...rest, contentHash }, null, 2)));
    await assert.rejects(open(), { code });
  });
}

test("damaged memory of earlier checks only costs a new check", async () => {
  await publish("content");
  await open();
  await writeFile(stampPath, "not json");
  await open();
});
