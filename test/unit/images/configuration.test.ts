// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseImageConfig } from "../../../src/images/configuration.ts";

const rootfs = { type: "layers", diff_ids: [`sha256:${"0".repeat(64)}`] };

function parse(config: unknown, rest: object = {}): ReturnType<typeof parseImageConfig> {
  return parseImageConfig(JSON.stringify({ os: "linux", rootfs, config, ...rest }), "web:1");
}

test("all that a container needs is read", () => {
  const { config } = parse({
    Entrypoint: ["/init"],
    Cmd: ["-x", ""],
    Env: ["A=1", "EMPTY="],
    User: "web:log",
    WorkingDir: "/srv",
    StopSignal: "SIGRTMIN+3",
    ExposedPorts: { "80/tcp": {} },
    Volumes: { "/data": {} },
    Labels: { a: "b" },
  });
  assert.deepEqual(config, {
    entrypoint: ["/init"],
    cmd: ["-x", ""],
    env: ["A=1", "EMPTY="],
    user: "web:log",
    workingDir: "/srv",
    stopSignal: "SIGRTMIN+3",
    exposedPorts: ["80/tcp"],
    volumes: ["/data"],
    labels: { a: "b" },
  });
});

test("Go's nulls and missing fields are empty", () => {
  for (const config of [
    null,
    undefined,
    { Entrypoint: null, Cmd: null, Env: null, Labels: null },
  ]) {
    const parsed = parse(config).config;
    assert.deepEqual([parsed.entrypoint, parsed.cmd, parsed.env, parsed.user], [[], [], [], ""]);
    assert.equal(parsed.workingDir, "/");
    assert.equal("stopSignal" in parsed, false);
  }
});

test("a relative working directory starts at the root", () => {
  assert.equal(parse({ WorkingDir: "srv" }).config.workingDir, "/srv");
});

test("the time it was made is bounded", () => {
  assert.equal(parse({}, { created: "2023-11-14T22:13:20.5Z" }).createdAtSeconds, 1_700_000_000);
  for (const created of ["soon", "", null, "9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]) {
    assert.equal(parse({}, { created }).createdAtSeconds, 0, String(created));
  }
});

test("what breaks the format or a bound is refused, with the place", () => {
  const bad: [unknown, RegExp][] = [
    [{ Cmd: "sh" }, /config\.Cmd/],
    [{ Cmd: ["a\0b"] }, /NUL/],
    [{ Env: [1] }, /config\.Env/],
    [{ Cmd: new Array(10_001).fill("a") }, /config\.Cmd/],
    [{ Env: ["A".repeat(131_073)] }, /config\.Env/],
    [{ User: "u".repeat(513) }, /config\.User/],
    [{ StopSignal: "SIG TERM" }, /config\.StopSignal/],
    [{ WorkingDir: `/${"d".repeat(4096)}` }, /config\.WorkingDir/],
  ];
  for (const [config, message] of bad) {
    assert.throws(() => parse(config), { code: "IMAGE_INVALID", message });
  }
  assert.throws(() => parse({}, { os: "windows" }), { code: "IMAGE_INVALID", message: /windows/ });
  assert.throws(() => parse({}, { rootfs: { type: "x", diff_ids: [] } }), {
    code: "IMAGE_INVALID",
  });
});

test("a text that is no config is not quoted: it may be another file of the host", () => {
  assert.throws(
    () => parseImageConfig("root:$6$secret:1::", "web:1"),
    (error: Error) => !error.message.includes("secret"),
  );
});
