// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { identityOf } from "../../../src/host/identity/types.ts";
import { assertSandboxKey, sandboxKey } from "../../../src/host/sandbox-key.ts";
import {
  listSandboxes,
  readSandboxState,
  type SandboxState,
  toProcessHandle,
  toProcessRecord,
  writeSandboxState,
} from "../../../src/host/sandbox-state.ts";
import { sandboxDirectory } from "../../../src/linux/paths.ts";
import { useTemporaryRoots } from "./roots.ts";

const STATE: SandboxState = {
  id: "a",
  namespace: "mukon",
  bundle: "/run/mukon/bundles/a",
  hypervisor: "qemu",
  accelerator: "tcg",
  rootless: true,
  createdAt: "2026-01-01T00:00:00.000Z",
  identity: identityOf(30_000, "kata-", "user-records"),
  processes: { shim: { pid: 12, startTime: 345 } },
};

describe("the name of a sandbox", () => {
  it("is the id in our own namespace, and never the same in another", () => {
    assert.equal(sandboxKey({ namespace: "mukon", id: "web" }), "web");
    assert.equal(sandboxKey({ namespace: "k8s.io", id: "web" }), "k8s.io..web");
  });

  for (const [namespace, id] of [
    ["mukon", ""],
    ["mukon", ".."],
    ["mukon", "../../etc"],
    ["mukon", "k8s.io..web"],
    ["mukon", ".hidden"],
    ["mukon", "a/b"],
    ["mukon", "a\0b"],
    ["mukon", "x".repeat(300)],
    ["", "web"],
    ["..", "web"],
  ] as const) {
    it(`refuses ${JSON.stringify(`${namespace}/${id.slice(0, 20)}`)}`, () => {
      assert.throws(() => sandboxKey({ namespace, id }), { code: "SANDBOX_KEY_INVALID" });
    });
  }

  it("refuses a path wherever a key is taken", () => {
    assert.throws(() => assertSandboxKey("../x"), { code: "SANDBOX_KEY_INVALID" });
    assert.throws(() => readSandboxState("../x"), { code: "SANDBOX_KEY_INVALID" });
  });
});

describe("the state of a sandbox", () => {
  useTemporaryRoots();

  it("is read as it was written, by root alone", () => {
    mkdirSync(sandboxDirectory("a"), { recursive: true });
    writeSandboxState("a", STATE);
    assert.deepEqual(readSandboxState("a"), STATE);
    assert.equal(statSync(join(sandboxDirectory("a"), "state.json")).mode & 0o777, 0o600);
    assert.deepEqual(listSandboxes(), ["a"]);
  });

  it("is undefined when there is none", () => {
    assert.equal(readSandboxState("none"), undefined);
  });

  for (const text of [
    "",
    "{",
    "null",
    "{}",
    JSON.stringify({ ...STATE, processes: { shim: {} } }),
  ]) {
    it(`is refused when it is ${JSON.stringify(text.slice(0, 12))}`, () => {
      mkdirSync(sandboxDirectory("b"), { recursive: true });
      writeFileSync(join(sandboxDirectory("b"), "state.json"), text);
      assert.throws(() => readSandboxState("b"), { code: "SANDBOX_STATE_INVALID" });
    });
  }

  it("names processes for good", () => {
    const handle = { pid: 12, startTime: 345n };
    assert.deepEqual(toProcessHandle(toProcessRecord(handle)), handle);
  });
});
