// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { credentialsFor } from "../../../src/images/source/credentials.ts";
import { stageFailure } from "../../../src/images/source/failures.ts";
import { stampOfFile, stampOfTree } from "../../../src/images/stamp.ts";

let directory = "";
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-source-"));
});
after(() => rmSync(directory, { recursive: true }));

function withAuthFile(content: string): NodeJS.ProcessEnv {
  const path = join(directory, "auth.json");
  writeFileSync(path, content);
  return { REGISTRY_AUTH_FILE: path };
}

test("the downloader gets the login of its registry, and no other", () => {
  const env = withAuthFile(
    JSON.stringify({
      auths: {
        "registry.example": { auth: "ours" },
        "registry.example/team": { auth: "ours too" },
        "registry.example.evil": { auth: "theirs" },
        "https://index.docker.io/v1/": { auth: "hub" },
      },
      credHelpers: { "registry.example": "secret-helper" },
    }),
  );
  assert.deepEqual(JSON.parse(credentialsFor("registry.example", env) ?? ""), {
    auths: { "registry.example": { auth: "ours" }, "registry.example/team": { auth: "ours too" } },
  });
  assert.match(credentialsFor("docker.io", env) ?? "", /hub/);
  assert.equal(credentialsFor("other.example", env), undefined);
});

test("a broken file of logins is an error, without its content", () => {
  for (const content of ["{secret", '{"auths":"secret"}']) {
    assert.throws(
      () => credentialsFor("a.example", withAuthFile(content)),
      (error: Error & { code?: string }) =>
        error.code === "CREDENTIALS_INVALID" && !error.message.includes("secret"),
    );
  }
});

test("what skopeo says becomes a code that says what to do", () => {
  const cases: Record<string, string> = {
    "reading manifest x in h/a: manifest unknown": "IMAGE_NOT_FOUND",
    "reading manifest x in h/a: name unknown: repository name not known": "IMAGE_NOT_FOUND",
    "unauthorized: authentication required": "IMAGE_PULL_DENIED",
    "requested access to the resource is denied": "IMAGE_PULL_DENIED",
    "pinging container registry h: Get x: dial tcp: connect: connection refused":
      "IMAGE_REGISTRY_UNREACHABLE",
    "dial tcp: lookup h: no such host": "IMAGE_REGISTRY_UNREACHABLE",
    "x509: certificate signed by unknown authority": "IMAGE_REGISTRY_UNREACHABLE",
    "no image found in manifest list for architecture riscv64": "IMAGE_PLATFORM_MISSING",
    "more than one image in oci, choose an image": "IMAGE_REFERENCE_INVALID",
    "write /workspace/x: no space left on device": "IMAGE_STORE_FULL",
    "write /workspace/x: file too large": "IMAGE_TOO_LARGE",
    "something new": "IMAGE_PULL_FAILED",
  };
  for (const [stderr, code] of Object.entries(cases)) {
    const result = { code: 1, signal: null, stdout: "", stderr };
    const error = stageFailure("download", "web:1", result);
    assert.equal(error.code, code, stderr);
    assert.ok(error.hint);
  }
});

test("of a log line, the message is shown", () => {
  const stderr = 'time="2026-01-01T00:00:00Z" level=fatal msg="Error parsing \\"web:1\\": bad"';
  const result = { code: 1, signal: null, stdout: "", stderr };
  assert.match(
    stageFailure("download", "web:1", result).message,
    /\(Error parsing "web:1": bad\)$/,
  );
});

test("messages of strangers cannot drive the terminal", () => {
  const stderr = "bad layer \u001b[2Jname\u0007\r\nsecond line\u009b1m";
  const error = stageFailure("unpack", "web:1", { code: 1, signal: null, stdout: "", stderr });
  assert.equal(error.code, "IMAGE_UNPACK_FAILED");
  assert.equal(error.details?.stage, "unpack");
  assert.match(error.message, /bad layer {2}\[2Jname second line 1m$/);
});

test("stamps change with the file, and with anything in a tree", () => {
  const file = join(directory, "file");
  writeFileSync(file, "a");
  const [before, tree] = [stampOfFile(file), stampOfTree(directory)];
  assert.equal(stampOfFile(file), before);
  assert.equal(stampOfTree(directory), tree);
  writeFileSync(file, "b");
  assert.notEqual(stampOfFile(file), before);
  assert.notEqual(stampOfTree(directory), tree);
  assert.equal(stampOfFile(join(directory, "missing")), undefined);
});
