// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "smol-toml";

const DIRECTORY = join(import.meta.dirname, "..", "..", "..", "deploy", "containerd");

/** The runtime's entry, below the plugin that has them in this version. */
function runtimeOf(file: string, version: number, plugin: string): unknown {
  const found = parse(readFileSync(join(DIRECTORY, file), "utf8"));
  assert.equal(found.version, version);
  // biome-ignore lint/suspicious/noExplicitAny: whatever the file says
  return { ...(found.plugins as any)[plugin].containerd.runtimes.mukon };
}

test("containerd's configuration is the same in both of its versions", () => {
  const wanted = {
    runtime_type: "io.containerd.mukon.v2",
    pod_annotations: ["io.katacontainers.*"],
    container_annotations: ["io.katacontainers.*"],
    privileged_without_host_devices: true,
  };
  assert.deepEqual(runtimeOf("mukon-v2.toml", 2, "io.containerd.grpc.v1.cri"), wanted);
  assert.deepEqual(runtimeOf("mukon-v3.toml", 3, "io.containerd.cri.v1.runtime"), {
    ...wanted,
    sandboxer: "podsandbox",
  });
});
