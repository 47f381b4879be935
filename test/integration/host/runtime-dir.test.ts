// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { openForVmm } from "../../../src/host/assets.ts";
import { identityOf } from "../../../src/host/identity/types.ts";
import { Journal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import {
  createRuntimeDirectory,
  runtimeDirectoryOf,
} from "../../../src/host/runtime-dir/runtime-dir.ts";
import { useTemporaryRoots } from "../../unit/host/roots.ts";
import { SKIP_UNLESS_ROOT } from "./support.ts";

const IDENTITY = identityOf(0x6000, "mkhost-", "useradd");
const { uid, gid } = IDENTITY.vmm;

/** Exit code of a command with the ids given and nothing else. */
function runAs(id: number, argv: readonly string[], fd?: number): number | null {
  const ids = [
    "--reuid",
    String(id),
    "--regid",
    String(id),
    "--clear-groups",
    "--bounding-set=-all",
  ];
  const stdio = ["ignore" as const, "ignore" as const, "ignore" as const];
  return spawnSync("setpriv", [...ids, "--", ...argv], {
    stdio: fd === undefined ? stdio : [...stdio, fd],
  }).status;
}

describe("the runtime directory", { skip: SKIP_UNLESS_ROOT }, () => {
  const { root } = useTemporaryRoots();
  before(() => chmodSync(root(), 0o755));

  it("is for its user alone, whatever the umask is, and goes with the sandbox", async () => {
    const journal = Journal.open("plain");
    const saved = process.umask(0);
    const path = await createRuntimeDirectory(IDENTITY, journal);
    process.umask(saved);
    journal.close();
    assert.equal(path, runtimeDirectoryOf(uid));
    const { mode, uid: owner, gid: group } = lstatSync(path);
    assert.deepEqual([mode & 0o7777, owner, group], [0o700, uid, gid]);
    assert.equal(runAs(uid, ["touch", join(path, "file")]), 0);
    assert.notEqual(runAs(uid + 1, ["ls", path]), 0);
    await tearDown("plain");
    assert.equal(existsSync(path), false);
  });

  it("does not keep what was there before", async () => {
    const path = runtimeDirectoryOf(uid);
    mkdirSync(path);
    writeFileSync(join(path, "old"), "");
    chownSync(path, uid, gid);
    const journal = Journal.open("stale");
    await createRuntimeDirectory(IDENTITY, journal);
    journal.close();
    assert.deepEqual(readdirSync(path), []);
    await tearDown("stale");
  });

  it("does not follow a link that is there before", async () => {
    const target = join(root(), "target");
    mkdirSync(target);
    writeFileSync(join(target, "precious"), "");
    symlinkSync(target, runtimeDirectoryOf(uid));
    const journal = Journal.open("link");
    const path = await createRuntimeDirectory(IDENTITY, journal);
    journal.close();
    assert.equal(lstatSync(path).isDirectory(), true);
    assert.deepEqual(readdirSync(target), ["precious"]);
    assert.equal(lstatSync(target).uid, 0);
    await tearDown("link");
  });

  it("is refused when the path belongs to somebody else", async () => {
    const path = runtimeDirectoryOf(uid);
    mkdirSync(path);
    chownSync(path, 1000, 1000);
    const journal = Journal.open("foreign");
    await assert.rejects(createRuntimeDirectory(IDENTITY, journal), {
      code: "RUNTIME_DIRECTORY_FOREIGN",
    });
    journal.close();
    await tearDown("foreign");
    assert.equal(existsSync(path), true);
    chownSync(path, uid, gid);
  });

  it("is refused where others could replace it", async () => {
    chmodSync(join(root(), "user"), 0o777);
    const journal = Journal.open("open-parent");
    await assert.rejects(createRuntimeDirectory(IDENTITY, journal), {
      code: "RUNTIME_DIRECTORY_FOREIGN",
      hint: /chmod 0755/,
    });
    journal.close();
    chmodSync(join(root(), "user"), 0o755);
    await tearDown("open-parent");
  });
});

describe("a file that root alone may read", { skip: SKIP_UNLESS_ROOT }, () => {
  const { root } = useTemporaryRoots();

  for (const mode of [0o600, 0o444]) {
    it(`reaches the VMM by a descriptor that it can open again (mode ${mode.toString(8)})`, () => {
      const path = join(root(), `kernel-${mode}`);
      writeFileSync(path, "kernel");
      chmodSync(path, mode);
      const fd = openForVmm(path, { gid });
      try {
        assert.equal(runAs(uid, ["grep", "-q", "^kernel$", "/proc/self/fd/3"], fd), 0);
        assert.notEqual(runAs(uid, ["cat", path]), 0);
        assert.notEqual(runAs(uid, ["sh", "-c", "echo x >/proc/self/fd/3"], fd), 0);
      } finally {
        closeSync(fd);
      }
    });
  }
});
