// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback, parseReference } from "../../../src/images/reference.ts";

const HEX = "ab".repeat(32);

test("registry references are completed as Docker does", () => {
  const full: Record<string, string> = {
    debian: "docker.io/library/debian:latest",
    "debian:12": "docker.io/library/debian:12",
    "team/app": "docker.io/team/app:latest",
    "docker://team/app:1": "docker.io/team/app:1",
    "localhost/app": "localhost/app:latest",
    "127.0.0.1:5000/a/b:c": "127.0.0.1:5000/a/b:c",
    "[::1]:5000/a": "[::1]:5000/a:latest",
    "ghcr.io/a/b_c/d-e:V1.2_x": "ghcr.io/a/b_c/d-e:V1.2_x",
    [`debian:12@sha256:${HEX}`]: `docker.io/library/debian@sha256:${HEX}`,
    "docker.io/library/busybox": "docker.io/library/busybox:latest",
  };
  for (const [text, expected] of Object.entries(full)) {
    assert.equal(parseReference(text).text, expected, text);
  }
});

test("the plain name busybox is the built-in image", () => {
  assert.equal(parseReference("busybox").kind, "built-in");
  assert.equal(parseReference("busybox:latest").kind, "registry");
});

test("files and directories are named in full, with the image in them", () => {
  assert.deepEqual(parseReference("oci:/a/../b:1.2"), {
    kind: "oci",
    path: "/b",
    name: "1.2",
    text: "oci:/b:1.2",
  });
  assert.equal(parseReference("oci-archive:x.tar").text, `oci-archive:${process.cwd()}/x.tar`);
  const docker = parseReference("docker-archive:/x.tar:localhost:5000/a/b:1");
  assert.equal(docker.kind === "docker-archive" && docker.name, "localhost:5000/a/b:1");
});

test("what is no reference is refused, and nothing that a program could take for an option", () => {
  const bad = [
    "",
    " ",
    "-v",
    "--help",
    "UPPER",
    "a//b",
    "/a",
    "a/",
    "a:",
    "a:-x",
    "a b",
    "a\nb",
    "a@sha256:12",
    "a@md5:d41d8cd98f00b204e9800998ecf8427e",
    "-x.example/a",
    "host.example:port/a",
    "oci:",
    "oci::tag",
    "oci:/a:",
    "oci:/a:-t",
    "oci:/a:b\u0000",
    `docker.io/${"a".repeat(256)}`,
    "a".repeat(2000),
    "../../etc/passwd",
    "a?b=c",
    "user:pass@host.example/a",
  ];
  for (const text of bad) {
    assert.throws(() => parseReference(text), { code: "IMAGE_REFERENCE_INVALID" }, text);
  }
});

test("only a registry of this very machine may do without TLS", () => {
  for (const host of ["localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000"]) {
    assert.equal(isLoopback(host), true, host);
  }
  for (const host of ["localhost.example", "127.0.0.1.example", "10.0.0.1", "docker.io", "[::2]"]) {
    assert.equal(isLoopback(host), false, host);
  }
});
