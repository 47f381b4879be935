// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import type { ImageLimits } from "../../../src/images/limits.ts";
import { resolveImage } from "../../../src/images/resolve.ts";
import type { ResolvedImage } from "../../../src/images/types.ts";
import {
  storeEntries,
  useImageStore,
  whyImagesCannotBeTested,
  withMounted,
} from "../../support/image-store.ts";
import { type LayoutOptions, writeLayout } from "../../support/oci-layout.ts";
import type { TarEntry } from "../../support/tar.ts";

const skip = whyImagesCannotBeTested();
const store = useImageStore();
let count = 0;

/** The image of these layers, or the refusal of it. In both cases, no work is left behind. */
async function tryImage(
  layers: LayoutOptions["layers"],
  limits: Partial<ImageLimits> = {},
): Promise<ResolvedImage | MukonError> {
  count += 1;
  const layout = store.path(`layout-${count}`);
  writeLayout(layout, { layers });
  try {
    return await resolveImage(`oci:${layout}`, { limits });
  } catch (error) {
    assert.ok(error instanceof MukonError, String(error));
    return error;
  } finally {
    assert.deepEqual(storeEntries("work"), []);
  }
}

function codeOf(result: ResolvedImage | MukonError): string {
  return result instanceof MukonError ? result.code : "no error";
}

/** A file that everybody may write to: what a bug in the unpacker would reach first. */
function makeVictim(): string {
  const directory = store.path(`victim-${count}`);
  mkdirSync(directory, { mode: 0o777, recursive: true });
  const path = join(directory, "file");
  writeFileSync(path, "untouched");
  for (const open of [store.root, directory]) chmodSync(open, 0o777);
  chmodSync(path, 0o666);
  return path;
}

function escapes(victim: string): Record<string, TarEntry[][]> {
  const up = `${"../".repeat(20)}${victim.slice(1)}`;
  const evil = { data: "evil", mode: 0o666 };
  return {
    "a path with ..": [[{ path: up, ...evil }]],
    "a path with .. in its middle": [[{ path: `a/${up}`, ...evil }]],
    "an absolute path": [[{ path: victim, ...evil }]],
    "an absolute link, written through": [
      [
        { path: "out", type: "symlink", link: victim },
        { path: "out", ...evil },
      ],
    ],
    "an absolute link to a directory, written through": [
      [
        { path: "out", type: "symlink", link: join(victim, "..") },
        { path: "out/file", ...evil },
      ],
    ],
    "the same over two layers": [
      [{ path: "out", type: "symlink", link: join(victim, "..") }],
      [{ path: "out/file", ...evil }],
    ],
    "a relative link, written through": [
      [
        { path: "out", type: "symlink", link: join(up, "..") },
        { path: "out/file", ...evil },
      ],
    ],
    "a hard link to a file of the host, written to": [
      [
        { path: "out", type: "hardlink", link: victim },
        { path: "out", ...evil },
      ],
    ],
    "a hard link with ..": [
      [
        { path: "out", type: "hardlink", link: up },
        { path: "out", ...evil },
      ],
    ],
    "a whiteout with ..": [[{ path: join(up, "..", `.wh.file`) }]],
    "a whiteout through a link": [
      [{ path: "out", type: "symlink", link: join(victim, "..") }],
      [{ path: "out/.wh.file" }],
    ],
    "an opaque directory through a link": [
      [{ path: "out", type: "symlink", link: join(victim, "..") }],
      [{ path: "out/.wh..wh..opq" }],
    ],
    "a whiteout of the root's parent": [[{ path: ".wh..." }], [{ path: ".wh..." }]],
    "a link in place of the root": [
      [
        { path: ".", type: "symlink", link: join(victim, "..") },
        { path: "file", ...evil },
      ],
    ],
  };
}

for (const [name, layers] of Object.entries(escapes(makeVictim()))) {
  test(`no layer writes outside: ${name}`, { skip }, async () => {
    const victim = makeVictim();
    const [first] = Object.entries(escapes(victim)).filter(([other]) => other === name);
    const before = readdirSync(join(victim, ".."));
    await tryImage(first?.[1] ?? layers);
    assert.equal(readFileSync(victim, "utf8"), "untouched");
    assert.deepEqual(readdirSync(join(victim, "..")), before);
    const stat = lstatSync(victim);
    assert.deepEqual([stat.uid, stat.mode & 0o777, stat.nlink], [0, 0o666, 1]);
  });
}

test("a link to /etc/passwd gives the host's to nobody", { skip }, async () => {
  const result = await tryImage([
    [
      { path: "etc", type: "directory" },
      { path: "etc/passwd", type: "symlink", link: "/../../../../../../etc/passwd" },
    ],
  ]);
  assert.ok(!(result instanceof MukonError), String(result));
  assert.deepEqual(result.accounts.users, []);
});

test("device nodes are not made", { skip }, async () => {
  const result = await tryImage([
    [
      { path: "disk", type: "block", device: [254, 0], mode: 0o666 },
      { path: "memory", type: "character", device: [1, 1], mode: 0o666 },
    ],
  ]);
  assert.ok(!(result instanceof MukonError), String(result));
  await withMounted(result.layers[0] ?? "", (root) => {
    for (const name of ["disk", "memory"]) {
      assert.equal(lstatSync(join(root, name)).isFile(), true, name);
    }
  });
});

test("attributes that overlayfs obeys cannot come from a layer", { skip }, async () => {
  const xattrs = { "trusted.overlay.opaque": Buffer.from("y") };
  const result = await tryImage([[{ path: "dir", type: "directory", xattrs }]]);
  if (result instanceof MukonError) return assert.equal(result.code, "IMAGE_UNPACK_FAILED");
  await withMounted(result.layers[0] ?? "", (root) => assert.ok(existsSync(join(root, "dir"))));
});

test("a user above 65535 is refused, and the hint says so", { skip }, async () => {
  const result = await tryImage([[{ path: "file", uid: 100_000 }]]);
  assert.equal(codeOf(result), "IMAGE_UNPACK_FAILED");
  assert.match(String((result as MukonError).hint), /65535/);
});

test("one huge file is stopped", { skip }, async () => {
  const zeros = Buffer.alloc(24 * 1024 * 1024);
  const result = await tryImage([[{ path: "huge", data: zeros }]], {
    maxFileBytes: 8 * 1024 * 1024,
  });
  assert.equal(codeOf(result), "IMAGE_TOO_LARGE", inspect(result));
});

test("many files of much data are stopped, long before the disk is full", { skip }, async () => {
  const data = Buffer.alloc(1024 * 1024);
  const files = Array.from({ length: 192 }, (_, index) => ({ path: `f${index}`, data }));
  const result = await tryImage([files], { maxBytes: 32 * 1024 * 1024 });
  assert.equal(codeOf(result), "IMAGE_TOO_LARGE");
});

test("a flood of empty files is stopped", { skip }, async () => {
  const files = Array.from({ length: 30_000 }, (_, index) => ({ path: `f${index}` }));
  const result = await tryImage([files], { maxFiles: 2_000 });
  assert.equal(codeOf(result), "IMAGE_TOO_LARGE");
});

test("a tree too deep for any path is refused, and is cleaned up", { skip }, async () => {
  const deep = Array.from({ length: 60 }, (_, depth) => ({
    path: "d"
      .repeat(79)
      .concat("/")
      .repeat(depth + 1),
    type: "directory" as const,
  }));
  const result = await tryImage([deep]);
  assert.ok(["IMAGE_UNPACK_FAILED", "IMAGE_PACK_FAILED"].includes(codeOf(result)), codeOf(result));
});

test("what is cut off, or no archive at all, is refused", { skip }, async () => {
  const layers = [
    Buffer.from("this is not a tar archive".repeat(100)),
    Buffer.alloc(700, 0xff),
    gzipSync(Buffer.alloc(10)),
  ];
  for (const layer of layers) {
    assert.equal(codeOf(await tryImage([layer])), "IMAGE_UNPACK_FAILED");
  }
  const lying = await tryImage([[{ path: "short", data: "x", claimedSize: 5_000_000 }]]);
  assert.equal(codeOf(lying), "IMAGE_UNPACK_FAILED");
});

test("a layer that is not what the config says is refused", { skip }, async () => {
  const layout = store.path("lying-config");
  writeLayout(layout, {
    layers: [[{ path: "a" }]],
    change: ({ config }) => {
      config.rootfs = { type: "layers", diff_ids: [`sha256:${"0".repeat(64)}`] };
    },
  });
  await assert.rejects(resolveImage(`oci:${layout}`), { code: "IMAGE_UNPACK_FAILED" });
});
