// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { asNamedUser } from "../../../guest/agent/container/accounts.ts";
import type { ProcessSpec } from "../../../guest/agent/container/process-json.ts";
import { AgentError } from "../../../guest/agent/errors.ts";
import { decode } from "../../../guest/agent/protobuf/decode.ts";
import { Process } from "../../../guest/agent/schema/oci.ts";

const FILES = {
  passwd: "root:x:0:0::/root:/bin/sh\nweb:x:7:8::/:/bin/sh\nbroken:x:many:8\nsuper:x:0:9",
  group: "root:x:0:\nweb:x:8:\nlogs:x:20:root,web\ndisk:x:21:web\nodd:x:22:webmaster",
};
const all = ["CAP_CHOWN", "CAP_KILL"];

function ask(username: string): ProcessSpec {
  const sets = { bounding: all, effective: all, permitted: all, inheritable: all, ambient: all };
  return {
    ...decode(Process, Buffer.alloc(0)),
    capabilities: sets,
    user: { uid: 0, gid: 0, additionalGids: [], username },
  };
}

const USERS: Record<string, [uid: number, gid: number, additional: number[]]> = {
  web: [7, 8, [20, 21]],
  "7": [7, 8, [20, 21]],
  "web:disk": [7, 21, []],
  "web:99": [7, 99, []],
  "1234": [1234, 0, []],
  "1234:5": [1234, 5, []],
  ":web": [0, 8, []],
};
for (const [name, [uid, gid, additionalGids]] of Object.entries(USERS)) {
  test(`"${name}" is user ${uid}, group ${gid}`, () => {
    const { user } = asNamedUser(ask(name), FILES);
    assert.deepEqual(user, { uid, gid, additionalGids, username: "" });
  });
}

test("root holds what the container may hold, by whatever name, and nobody else anything", () => {
  for (const [name, held] of [
    ["root", all],
    ["super", all],
    ["web", []],
  ] as const) {
    const { capabilities } = asNamedUser(ask(name), FILES);
    const { bounding, effective, permitted, inheritable, ambient } = capabilities ?? {};
    assert.deepEqual(
      [bounding, effective, permitted, inheritable, ambient],
      [all, held, held, [], []],
    );
  }
});

for (const name of ["nobody", "broken", "web:nogroup", "a:b:c", "-1", "4294967295"]) {
  test(`"${name}" is refused`, () => {
    assert.throws(() => asNamedUser(ask(name), FILES), AgentError);
  });
}
