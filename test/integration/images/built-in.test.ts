// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { lookUpUser } from "../../../src/images/accounts.ts";
import { resolveImage } from "../../../src/images/resolve.ts";
import { listImages, removeImage } from "../../../src/images/store.ts";
import { guestDirectory } from "../../../src/linux/paths.ts";
import { useImageStore, whyImagesCannotBeTested, withMounted } from "../../support/image-store.ts";

const skip = whyImagesCannotBeTested();
const builtGuest = join(guestDirectory(), "current");
const installedRoot = process.env.MUKON_STATE_ROOT;
useImageStore();

test("without a guest there is no built-in image, and the list is empty", { skip }, async () => {
  await assert.rejects(resolveImage("busybox"), { code: "GUEST_NOT_BUILT" });
  assert.deepEqual(await listImages(), []);
});

test("the built-in image cannot be removed", { skip }, async () => {
  await assert.rejects(removeImage("busybox"), { code: "IMAGE_BUILT_IN" });
});

const noGuest = existsSync(builtGuest) ? skip : "needs a guest (mukon guest build)";

test("the built-in image runs a shell as root, without a pull", { skip: noGuest }, async () => {
  const own = process.env.MUKON_STATE_ROOT;
  if (installedRoot === undefined) delete process.env.MUKON_STATE_ROOT;
  else process.env.MUKON_STATE_ROOT = installedRoot;
  try {
    const image = await resolveImage("busybox", { pull: "never" });
    assert.deepEqual(image.config.cmd, ["sh"]);
    assert.deepEqual(lookUpUser(image.accounts, "nobody").uid, 65534);
    await withMounted(image.layers[0] ?? "", (root) => {
      assert.equal(lstatSync(join(root, "bin/sh")).isFile(), true);
    });
    assert.equal((await listImages())[0]?.reference, "busybox");
  } finally {
    process.env.MUKON_STATE_ROOT = own;
  }
});
