// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { listMounts } from "../../../src/linux/mounts.ts";
import { mountedOverlay } from "../../../src/shim/task/mounted-overlay.ts";

test("an overlay that Docker has mounted is taken apart: links followed, a work directory of its own", (t) => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "mukon-overlay-")));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const name of ["a/diff", "b/diff", "l", "c/diff", "c/work", "c/merged"]) {
    mkdirSync(join(directory, name), { recursive: true });
  }
  symlinkSync("../a/diff", join(directory, "l/AAA"));
  symlinkSync("../b/diff", join(directory, "l/BBB"));
  const merged = join(directory, "c/merged");
  const options = `rw,lowerdir=${directory}/l/AAA:${directory}/l/BBB,upperdir=${directory}/c/diff,workdir=${directory}/c/work,nouserxattr`;
  const text = [
    `30 1 8:1 / / rw,relatime - ext4 /dev/vda rw`,
    `31 30 0:40 / ${merged} rw,relatime shared:1 - overlay overlay ${options}`,
  ].join("\n");
  assert.deepEqual(mountedOverlay(merged, listMounts(text)), {
    lower: [join(directory, "a/diff"), join(directory, "b/diff")],
    upper: {
      directory: join(directory, "c/diff"),
      work: join(directory, "c/mukon-work"),
      isWorkNew: true,
    },
    options: [],
  });
  assert.equal(mountedOverlay("/", listMounts(text)), undefined);
  assert.equal(mountedOverlay(join(merged, "x"), listMounts(text)), undefined);
});
