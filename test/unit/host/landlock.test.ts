// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { landlockRules } from "../../../src/host/launcher/landlock.ts";
import { emptyMemory } from "../../../src/linux/memory-file.ts";

const JAIL = { paths: ["/usr/bin/sleep"], devices: ["/dev/null"] };
const ALWAYS = ["execute,read-file,read-dir:/", "read-file,write-file:/dev"];

describe("the rules of Landlock for a jail", () => {
  const directory = mkdtempSync(join(tmpdir(), "mukon-rules-"));
  after(() => rmSync(directory, { recursive: true, force: true }));

  it("let a program read its root, and use its devices", () => {
    assert.deepEqual(landlockRules(JAIL, ["ignore", "ignore", "pipe"]), ALWAYS);
  });

  it("let it do anything in what is shared with it, and nowhere else", () => {
    const shared = { directory: "/run/mukon/shared/pod", at: "/shared" };
    assert.deepEqual(landlockRules({ ...JAIL, shared }, []), [...ALWAYS, ":/shared"]);
  });

  it("give files the rights that they are open with, and none to what is no file of a disk", () => {
    const path = join(directory, "file");
    writeFileSync(path, "");
    const files = [openSync(path, "r"), openSync(path, "r+"), openSync(path, "a")];
    const others = [openSync(directory, "r"), emptyMemory("memory"), openSync("/dev/null", "r+")];
    try {
      assert.deepEqual(landlockRules(JAIL, ["ignore", ...files, ...others]).slice(2), [
        "read-file:/proc/self/fd/1",
        "read-file,write-file:/proc/self/fd/2",
        "read-file,write-file:/proc/self/fd/3",
      ]);
    } finally {
      for (const descriptor of [...files, ...others]) closeSync(descriptor);
    }
  });
});
