// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  accountComment,
  blockOfAccount,
  blockOfGroup,
  parseAccounts,
} from "../../../src/host/identity/accounts.ts";
import {
  blocksOf,
  candidateBlocks,
  claimBlock,
  freeBlock,
  listBlocks,
  ownerOfBlock,
} from "../../../src/host/identity/blocks.ts";
import { ID_BLOCK_SIZE, identityOf } from "../../../src/host/identity/types.ts";
import { areUserRecordsServed } from "../../../src/host/identity/user-records.ts";
import { identitiesDirectory } from "../../../src/linux/paths.ts";
import { useTemporaryRoots } from "./roots.ts";

describe("blocks of ids", () => {
  it("are tried once each, from any start, inside the range only", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 32 - 2 }),
        fc.integer({ min: 0, max: 300 * ID_BLOCK_SIZE }),
        fc.nat(),
        (idRangeStart, length, seed) => {
          const range = { idRangeStart, idRangeEnd: idRangeStart + length };
          const wholeBlocks =
            Math.floor(range.idRangeEnd / ID_BLOCK_SIZE) - Math.ceil(idRangeStart / ID_BLOCK_SIZE);
          if (wholeBlocks < 1) {
            assert.throws(() => blocksOf(range), { code: "ID_RANGE_INVALID" });
            return;
          }
          const all = [...candidateBlocks(range, (count) => seed % count)];
          assert.equal(new Set(all).size, wholeBlocks);
          assert.equal(all.length, wholeBlocks);
          for (const number of all) {
            assert.ok(number * ID_BLOCK_SIZE >= idRangeStart);
            assert.ok((number + 1) * ID_BLOCK_SIZE <= range.idRangeEnd);
          }
        },
      ),
    );
  });

  it("never hold the ids of root and of people", () => {
    assert.throws(() => blocksOf({ idRangeStart: 0, idRangeEnd: 10 * ID_BLOCK_SIZE }), {
      code: "ID_RANGE_INVALID",
    });
  });

  it("give every process of a pod ids of its own", () => {
    const { block, vmm, keeper } = identityOf(30_000, "kata-", "useradd");
    assert.equal(vmm.name, "kata-30000");
    assert.equal(new Set([block.base, vmm.uid, keeper.uid]).size, 3);
    for (const id of [vmm.uid, vmm.gid, keeper.uid, keeper.gid]) {
      assert.ok(id > block.base && id < block.base + block.size);
    }
  });
});

describe("the reservation of a block", () => {
  useTemporaryRoots();

  it("belongs to the first one, who alone can free it", () => {
    mkdirSync(identitiesDirectory(), { recursive: true });
    assert.equal(claimBlock(5, "a"), true);
    assert.equal(claimBlock(5, "b"), false);
    assert.equal(ownerOfBlock(5), "a");
    assert.deepEqual(listBlocks(), [{ number: 5, owner: "a" }]);
    assert.equal(freeBlock(5, "b"), false);
    assert.equal(freeBlock(5, "a"), true);
    assert.equal(freeBlock(5, "a"), false);
    assert.deepEqual(listBlocks(), []);
  });
});

describe("accounts", () => {
  it("are read from /etc/passwd, odd lines left out", () => {
    const text = "root:x:0:0:root:/root:/bin/sh\n\n# note\n+::::::\nbad:x:one:\nlast:x:7";
    assert.deepEqual(parseAccounts(text), [
      { name: "root", id: 0, comment: "root" },
      { name: "last", id: 7, comment: "" },
    ]);
  });

  it("are ours only when name, id and comment all say so", () => {
    const ours = {
      name: "kata-30000",
      id: identityOf(30_000, "", "useradd").vmm.uid,
      comment: accountComment(),
    };
    assert.equal(blockOfAccount(ours), 30_000);
    assert.equal(blockOfAccount({ ...ours, comment: "Alice" }), undefined);
    assert.equal(blockOfAccount({ ...ours, id: 1000 }), undefined);
    assert.equal(blockOfAccount({ ...ours, id: ours.id + 1 }), undefined);
    assert.equal(blockOfAccount({ ...ours, name: "kata-30001" }), undefined);
    assert.equal(blockOfAccount({ ...ours, comment: "mukon /another/run" }), undefined);
  });
});

describe("groups", () => {
  it("are ours only when name and number agree", () => {
    const id = identityOf(30_000, "", "useradd").vmm.gid;
    const block = (name: string, gid: number) => blockOfGroup({ name, id: gid, comment: "" });
    assert.equal(block("kata-30000", id), 30_000);
    assert.equal(block("kata-30000", id + 1), undefined);
    assert.equal(block("kata-0", 1), undefined);
    assert.equal(block("kata-130000", id), undefined);
    assert.equal(block("staff", id), undefined);
  });
});

describe("systemd user records", () => {
  const both = "passwd: files systemd\ngroup:\tfiles [SUCCESS=merge] systemd # comment\n";
  const cases: [string, string, boolean, boolean][] = [
    ["both databases name it", both, true, true],
    ["the library is missing", both, false, false],
    ["groups do not name it", "passwd: files systemd\ngroup: files\n", true, false],
    ["it is commented out", "passwd: files # systemd\ngroup: files # systemd\n", true, false],
    ["only shadow names it", "passwd: files\ngroup: files\nshadow: systemd\n", true, false],
    ["there is no nsswitch.conf", "", true, false],
  ];
  for (const [title, text, isInstalled, expected] of cases) {
    it(`are ${expected ? "" : "not "}used when ${title}`, () => {
      assert.equal(
        areUserRecordsServed(text, () => isInstalled),
        expected,
      );
    });
  }
});
