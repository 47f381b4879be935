// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { lookUpUser } from "../../../src/images/accounts.ts";
import { resolveImage } from "../../../src/images/resolve.ts";
import { removeImage } from "../../../src/images/store.ts";
import type { ResolvedImage } from "../../../src/images/types.ts";
import { useImageStore, whyImagesCannotBeTested, withMounted } from "../../support/image-store.ts";
import { writeLayout } from "../../support/oci-layout.ts";
import type { TarEntry } from "../../support/tar.ts";

const skip = whyImagesCannotBeTested(["getfattr"]);
const store = useImageStore();

/** CAP_NET_BIND_SERVICE, permitted and effective: struct vfs_cap_data, version 2. */
const CAPABILITY = Buffer.from("0100000200040000000000000000000000000000", "hex");
const LONG = `long/${"d".repeat(90)}/${"f".repeat(200)}`;

const LOWER: TarEntry[] = [
  { path: "etc", type: "directory" },
  { path: "etc/passwd", data: "root:x:0:0::/:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n" },
  { path: "etc/group", data: "web:x:1001:\nlog:x:50:web\n" },
  { path: "bin", type: "directory", mode: 0o755 },
  { path: "bin/su", data: "su", mode: 0o4755 },
  { path: "bin/wall", data: "wall", mode: 0o2755, gid: 5 },
  { path: "bin/hard", type: "hardlink", link: "bin/su" },
  { path: "bin/symbolic", type: "symlink", link: "/etc/passwd" },
  {
    path: "bin/ping",
    data: "ping",
    mode: 0o755,
    xattrs: { "security.capability": CAPABILITY },
  },
  { path: "bin/note", data: "note", xattrs: { "user.note": Buffer.from("kept") } },
  { path: "tmp", type: "directory", mode: 0o1777 },
  { path: "srv", type: "directory", uid: 1000, gid: 65535, mode: 0o750 },
  { path: "srv/page", data: "old", uid: 1000, gid: 1001, mode: 0o640, mtime: 1_500_000_000 },
  { path: "opaque", type: "directory" },
  { path: "opaque/below", data: "hidden" },
  { path: "gone", data: "hidden" },
  { path: "gone-directory", type: "directory" },
  { path: "gone-directory/file", data: "hidden" },
  { path: "pipe", type: "fifo", mode: 0o600 },
  { path: LONG, data: "long" },
];

const UPPER: TarEntry[] = [
  { path: ".wh.gone" },
  { path: ".wh.gone-directory" },
  { path: "opaque", type: "directory" },
  { path: "opaque/.wh..wh..opq" },
  { path: "opaque/above", data: "seen" },
  { path: "srv/page", data: "new", uid: 1000, gid: 1001, mode: 0o640 },
  { path: "implied/directories/file", data: "x" },
];

let image: ResolvedImage | undefined;
before(async () => {
  if (skip !== false) return;
  writeLayout(store.path("layout"), {
    layers: [LOWER, UPPER],
    config: { Entrypoint: ["/bin/su"], User: "web", Env: ["A=b"], StopSignal: "SIGINT" },
  });
  image = await resolveImage(`oci:${store.path("layout")}`);
});

function look(check: (root: string) => void): () => Promise<void> {
  return () => withMounted(image?.layers[0] ?? "", check);
}

test(
  "owners, modes and set-id bits are those of the layers",
  { skip },
  look((root) => {
    const facts = (path: string): unknown[] => {
      const stat = lstatSync(join(root, path));
      return [stat.uid, stat.gid, (stat.mode & 0o7777).toString(8)];
    };
    assert.deepEqual(facts("bin/su"), [0, 0, "4755"]);
    assert.deepEqual(facts("bin/wall"), [0, 5, "2755"]);
    assert.deepEqual(facts("tmp"), [0, 0, "1777"]);
    assert.deepEqual(facts("srv"), [1000, 65535, "750"]);
    assert.deepEqual(facts("srv/page"), [1000, 1001, "640"]);
    assert.deepEqual(facts("."), [0, 0, "755"]);
    assert.equal(lstatSync(join(root, "pipe")).isFIFO(), true);
  }),
);

test(
  "links stay links",
  { skip },
  look((root) => {
    assert.equal(readlinkSync(join(root, "bin/symbolic")), "/etc/passwd");
    const [su, hard] = [lstatSync(join(root, "bin/su")), lstatSync(join(root, "bin/hard"))];
    assert.equal(su.ino, hard.ino);
    assert.equal(su.nlink, 2);
    assert.equal(readFileSync(join(root, LONG), "utf8"), "long");
  }),
);

test(
  "whiteouts hide what is below, and leave no trace",
  { skip },
  look((root) => {
    assert.deepEqual(readdirSync(join(root, "opaque")), ["above"]);
    assert.equal(existsSync(join(root, "gone")), false);
    assert.equal(existsSync(join(root, "gone-directory")), false);
    assert.equal(readFileSync(join(root, "srv/page"), "utf8"), "new");
    const names = readdirSync(root, { recursive: true }).map(String);
    assert.deepEqual(
      names.filter((name) => name.includes(".wh.")),
      [],
    );
  }),
);

test(
  "extended attributes and file capabilities are kept",
  { skip },
  look((root) => {
    const argv = ["--absolute-names", "--encoding=hex", "--dump", "--match=-"];
    const files = [join(root, "bin/ping"), join(root, "bin/note")];
    const dump = execFileSync("getfattr", [...argv, ...files], { encoding: "utf8" });
    assert.match(dump, new RegExp(`security\\.capability=0x${CAPABILITY.toString("hex")}$`, "m"));
    assert.match(dump, new RegExp(`user\\.note=0x${Buffer.from("kept").toString("hex")}$`, "m"));
  }),
);

test(
  "times are those of the layers, and never later than the image itself",
  { skip },
  look((root) => {
    const seconds = (path: string): number => lstatSync(join(root, path)).mtimeMs / 1000;
    assert.equal(seconds("bin/su"), 1_600_000_000);
    assert.equal(seconds("implied/directories"), 1_700_000_000);
  }),
);

test("config and accounts are read", { skip }, () => {
  assert.deepEqual(image?.config.entrypoint, ["/bin/su"]);
  assert.deepEqual(image?.config.env, ["A=b"]);
  assert.equal(image?.config.stopSignal, "SIGINT");
  const user = lookUpUser(image?.accounts ?? { users: [], groups: [] }, image?.config.user);
  assert.deepEqual(user, { uid: 1000, gid: 1001, additionalGids: [50] });
});

test("the same image gives the same bytes, whenever and wherever it is made", {
  skip,
}, async () => {
  const bytes = readFileSync(image?.layers[0] ?? "");
  const reference = `oci:${store.path("layout")}`;
  await removeImage(reference);
  const again = await resolveImage(reference);
  assert.deepEqual(readFileSync(again.layers[0] ?? ""), bytes);
  image = again;
});

test("only root can reach the store, and the VMM's user can read what it is handed", {
  skip,
}, () => {
  const path = image?.layers[0] ?? "";
  const stat = lstatSync(path);
  assert.deepEqual([stat.uid, stat.gid, stat.mode & 0o777], [0, 0, 0o444]);
  const store = join(process.env.MUKON_STATE_ROOT ?? "", "images");
  for (const name of readdirSync(store)) {
    assert.equal(lstatSync(join(store, name)).mode & 0o077, 0, name);
  }
});
