// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { JournalEntry } from "../../../src/host/journal/entries.ts";
import { Journal, journalPath, readJournal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import { removeDirectory } from "../../../src/host/journal/undo.ts";
import { sandboxDirectory } from "../../../src/linux/paths.ts";
import { useTemporaryRoots } from "./roots.ts";

describe("the journal", () => {
  const { root } = useTemporaryRoots();
  const entriesAfterOwner = (key: string): JournalEntry[] => readJournal(key).entries.slice(1);

  it("begins with its owner, in a directory for root alone", () => {
    const journal = Journal.open("begin");
    journal.close();
    const [owner] = readJournal("begin").entries;
    assert.equal(owner?.type === "process" && owner.pid, process.pid);
    assert.equal(owner?.type === "process" && owner.role, "shim");
    assert.equal(statSync(sandboxDirectory("begin")).mode & 0o777, 0o700);
    assert.equal(statSync(journalPath("begin")).mode & 0o777, 0o600);
  });

  it("is read back in order", () => {
    const journal = Journal.open("order");
    const entries: JournalEntry[] = [
      { type: "identity", number: 7 },
      { type: "directory", path: join(root(), "one/two") },
      { type: "process", role: "vmm", pid: 5, startTime: 9 },
    ];
    for (const entry of entries) journal.append(entry);
    journal.close();
    assert.deepEqual(entriesAfterOwner("order"), entries);
  });

  it("can be begun once only", () => {
    Journal.open("once").close();
    assert.throws(() => Journal.open("once"), { code: "SANDBOX_EXISTS" });
  });

  it("survives a half-written last line", () => {
    Journal.open("half").close();
    appendFileSync(journalPath("half"), '{"type":"identity","number":8}\n{"type":"identity","nu');
    assert.deepEqual(readJournal("half"), {
      entries: [...readJournal("half").entries.slice(0, 1), { type: "identity", number: 8 }],
      damagedLines: 0,
    });
  });

  it("does not take a whole number for one that was cut short", () => {
    Journal.open("cut").close();
    appendFileSync(journalPath("cut"), '{"type":"identity","number":8}');
    assert.deepEqual(entriesAfterOwner("cut"), []);
  });

  it("counts damaged lines and keeps the others", () => {
    Journal.open("damaged").close();
    const lines = [
      "garbage",
      '{"type":"identity","number":8}',
      '{"type":"new-kind"}',
      "[]",
      "null",
    ];
    appendFileSync(journalPath("damaged"), `${lines.join("\n")}\n`);
    assert.equal(readJournal("damaged").damagedLines, 4);
    assert.deepEqual(entriesAfterOwner("damaged"), [{ type: "identity", number: 8 }]);
  });

  for (const path of [
    "/",
    "/etc",
    "/run/user",
    "relative/path/of/it",
    "/run/mukon/../../etc/x",
    "/run/mukon/x/",
    "/run//mukon/x",
    "/run/mukon/x\0y",
  ]) {
    it(`refuses to record the directory ${JSON.stringify(path)}, and to undo it`, () => {
      const key = `refuse-${path.replaceAll(/\W/g, "_")}`;
      const journal = Journal.open(key);
      const entry: JournalEntry = { type: "directory", path };
      assert.throws(() => journal.append(entry), { code: "JOURNAL_INVALID" });
      journal.close();
      appendFileSync(journalPath(key), `${JSON.stringify(entry)}\n`);
      assert.equal(readJournal(key).damagedLines, 1);
    });
  }

  it("never removes a root of ours", () => {
    const journal = Journal.open("roots");
    for (const path of ["run", "state", "user"]) {
      const entry: JournalEntry = { type: "directory", path: join(root(), path) };
      assert.throws(() => journal.append(entry), { code: "JOURNAL_INVALID" });
    }
    journal.close();
  });
});

describe("tearing down", () => {
  const { root } = useTemporaryRoots();

  it("removes what was recorded, and can be done again", async () => {
    const journal = Journal.open("files");
    const directory = join(root(), "pod/data");
    journal.append({ type: "directory", path: directory });
    journal.append({ type: "file", path: join(root(), "pod/file") });
    journal.append({ type: "socket", path: join(root(), "pod/never-made") });
    journal.close();
    mkdirSync(join(directory, "deep/er"), { recursive: true });
    writeFileSync(join(root(), "pod/file"), "");
    assert.equal(await tearDown("files"), true);
    assert.equal(existsSync(directory), false);
    assert.equal(existsSync(join(root(), "pod/file")), false);
    assert.equal(existsSync(sandboxDirectory("files")), false);
    assert.equal(await tearDown("files"), true);
  });

  it("does nothing for a sandbox that never was", async () => {
    assert.equal(await tearDown("nothing"), true);
    await assert.rejects(tearDown("../../etc"), { code: "SANDBOX_KEY_INVALID" });
  });

  it("lets the caller change its mind once the sandbox is locked", async () => {
    Journal.open("alive").close();
    assert.equal(await tearDown("alive", { isWanted: () => false }), false);
    assert.equal(existsSync(journalPath("alive")), true);
  });

  it("keeps the journal when something would not go, and goes on with the rest", async () => {
    const journal = Journal.open("stuck");
    const file = join(root(), "pod-stuck/file");
    journal.append({ type: "file", path: file });
    // A directory where a file was recorded: unlink refuses.
    const stuck = join(root(), "pod-stuck/other");
    journal.append({ type: "file", path: stuck });
    journal.close();
    mkdirSync(stuck, { recursive: true });
    writeFileSync(file, "");
    await assert.rejects(tearDown("stuck"), { code: "TEARDOWN_INCOMPLETE" });
    assert.equal(existsSync(file), false);
    assert.equal(existsSync(journalPath("stuck")), true);
    await removeDirectory(stuck);
    assert.equal(await tearDown("stuck"), true);
  });
});
