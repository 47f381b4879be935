// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { lookUpUser, NO_ACCOUNTS, parseAccounts } from "../../../src/images/accounts.ts";

const accounts = parseAccounts(
  [
    "root:x:0:0:root:/root:/bin/sh",
    "web:x:1000:1001:Web:/srv:/bin/false",
    "# a comment",
    "broken:x:minus:1",
    "toobig:x:4294967295:0",
    ":x:5:5",
    "2000:x:7:8",
    "",
  ].join("\n"),
  "root:x:0:\nweb:x:1001:\nlog:x:50:web,other\naudio:x:29:web\nadm:x:4:root\nbad:x::web\n",
);

test("a user gets its own group, and the groups that list it", () => {
  assert.deepEqual(lookUpUser(accounts, "web"), { uid: 1000, gid: 1001, additionalGids: [50, 29] });
  assert.deepEqual(lookUpUser(accounts, "1000"), lookUpUser(accounts, "web"));
});

test("no user means root", () => {
  const root = { uid: 0, gid: 0, additionalGids: [4] };
  for (const user of [undefined, "", "0", "root"])
    assert.deepEqual(lookUpUser(accounts, user), root);
  assert.deepEqual(lookUpUser(NO_ACCOUNTS, ""), { uid: 0, gid: 0, additionalGids: [] });
});

test("a group given by hand stands alone", () => {
  assert.deepEqual(lookUpUser(accounts, "web:log"), { uid: 1000, gid: 50, additionalGids: [] });
  assert.deepEqual(lookUpUser(accounts, "web:77"), { uid: 1000, gid: 77, additionalGids: [] });
  assert.deepEqual(lookUpUser(accounts, ":log"), { uid: 0, gid: 50, additionalGids: [] });
});

test("a number needs no entry", () => {
  assert.deepEqual(lookUpUser(accounts, "4321"), { uid: 4321, gid: 0, additionalGids: [] });
});

test("a name goes before a number", () => {
  assert.equal(lookUpUser(accounts, "2000").uid, 7);
});

test("what the image does not have is an error, never root", () => {
  const bad = [
    "nobody",
    "broken",
    "toobig",
    "web:nogroup",
    "a:b:c",
    "-1",
    "4294967295",
    "1e3",
    "web ",
  ];
  for (const user of bad) {
    assert.throws(() => lookUpUser(accounts, user), { code: "USER_NOT_FOUND" }, user);
  }
});

test("endless files have an end", () => {
  const lines = "u:x:1:1\n".repeat(100_000);
  assert.ok(parseAccounts(lines, "").users.length <= 20_000);
});
