// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parseOciProcess,
  parseOciResources,
  parseOciSpec,
} from "../../../src/guest-protocol/oci-spec.ts";
import { fails, MINIMAL, specWith } from "./helpers.ts";

test("null stands for absent, as Go writes it, and unknown members are left out", () => {
  const spec = specWith({ mounts: null, linux: { devices: null, unheard: 1 }, solaris: {} });
  assert.equal(spec.mounts, undefined);
  assert.deepEqual(spec.linux, {});
  assert.ok(!("solaris" in spec));
});

test("64-bit limits stay exact, and once more through JSON", () => {
  const json = `{"ociVersion":"1.0.2","process":{"args":["a\\"1234567890123456789"],"cwd":"/",
    "rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1024}]},
    "linux":{"resources":{"memory":{"limit":9223372036854771712,"swap":-1}}}}`;
  const spec = parseOciSpec(json);
  assert.equal(spec.process?.rlimits?.[0]?.hard, "18446744073709551615");
  assert.equal(spec.process?.rlimits?.[0]?.soft, 1024);
  assert.equal(spec.process?.args[0], 'a"1234567890123456789');
  assert.equal(spec.linux?.resources?.memory?.limit, "9223372036854771712");
  assert.deepEqual(parseOciSpec(JSON.parse(JSON.stringify(spec))), spec);
});

test("what is wrong is named by its place", () => {
  const wrong: [unknown, string][] = [
    [{ ...MINIMAL, ociVersion: "2.0" }, "ociVersion"],
    [{ ...MINIMAL, process: { args: [], cwd: "/" } }, "process.args"],
    [{ ...MINIMAL, process: { args: ["sh"], cwd: "relative" } }, "process.cwd"],
    [{ ...MINIMAL, process: { args: ["a\0b"], cwd: "/" } }, "process.args.0"],
    [{ ...MINIMAL, process: { args: ["sh"], cwd: "/", user: { uid: -1 } } }, "process.user.uid"],
    [{ ...MINIMAL, process: { args: ["sh"], cwd: "/", user: { uid: 2 ** 32 } } }, "user.uid"],
    [{ ...MINIMAL, linux: { resources: { pids: { limit: 1.5 } } } }, "pids.limit"],
    [{ ...MINIMAL, linux: { resources: { memory: { limit: "9223372036854775808" } } } }, "limit"],
    [{ ...MINIMAL, linux: { resources: { cpu: { shares: -1 } } } }, "cpu.shares"],
    [{ ...MINIMAL, linux: { namespaces: [{ type: "disk" }] } }, "namespaces.0.type"],
    [{ ...MINIMAL, mounts: [{ destination: "etc" }] }, "mounts.0.destination"],
    [{ ...MINIMAL, annotations: { a: 1 } }, "annotations.a"],
    [[], "OCI document"],
    ["nonsense", "not JSON"],
    ["", "not JSON"],
  ];
  for (const [value, place] of wrong) {
    const json = typeof value === "string" ? value : JSON.stringify(value);
    assert.throws(() => parseOciSpec(json), fails("OCI_SPEC_INVALID", place), json);
  }
});

test("documents too large or too deep are refused, not crashed upon", () => {
  assert.throws(() => parseOciSpec(" ".repeat(5_000_000)), fails("OCI_SPEC_TOO_LARGE"));
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  assert.throws(() => parseOciSpec(deep), fails("OCI_SPEC_INVALID"));
});

test("an error does not carry control characters of the document", () => {
  assert.throws(
    () => parseOciSpec(JSON.stringify({ ...MINIMAL, annotations: { "\u001b[2J": 1 } })),
    (error) => error instanceof Error && !error.message.includes("\u001b"),
  );
});

test("a process and resources are read alone, for exec and update", () => {
  assert.deepEqual(parseOciProcess('{"args":["ls"],"cwd":"/tmp"}'), { args: ["ls"], cwd: "/tmp" });
  assert.throws(() => parseOciProcess({ args: ["ls"] }), fails("OCI_PROCESS_INVALID", "cwd"));
  assert.deepEqual(parseOciResources({ pids: { limit: 5 } }), { pids: { limit: 5 } });
});
