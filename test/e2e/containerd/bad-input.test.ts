// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Containerd, IMAGE, RUNTIME } from "../../support/containerd.ts";
import { whyNoContainerd } from "../../support/containerd-release.ts";
import { PodWorld } from "../../support/pod-world.ts";

const skip = whyNoContainerd() ?? false;
let world: PodWorld;
let containerd: Containerd;
before(async () => {
  if (skip !== false) return;
  world = new PodWorld();
  containerd = await Containerd.start(world);
});
after(async () => {
  if (skip !== false) return;
  await containerd.close();
  await world.end();
});

interface Refusal {
  what: string;
  flags?: string[];
  /** Instead of the image and its file system. */
  rootfs?: string;
  says: RegExp;
}

const ANNOTATION = "io.katacontainers.config.hypervisor";
const REFUSALS: Refusal[] = [
  {
    what: "a configuration file that is not there",
    flags: ["--runtime-config-path", "/nowhere/configuration.toml"],
    says: /\/nowhere\/configuration\.toml/,
  },
  {
    what: "an annotation that the configuration does not allow",
    flags: ["--annotation", `${ANNOTATION}.path=/bin/true`],
    says: /ANNOTATION_\w+/,
  },
  {
    what: "an annotation whose value is none",
    flags: ["--annotation", `${ANNOTATION}.default_vcpus=many`],
    says: /ANNOTATION_\w+/,
  },
  {
    what: "a root file system that is not there",
    rootfs: "/nowhere/rootfs",
    says: /\/nowhere\/rootfs/,
  },
  {
    what: "output for a kind of stream that is not known",
    flags: ["--log-uri", "http://127.0.0.1/log"],
    says: /STDIO_UNSUPPORTED/,
  },
  {
    what: "output for a program that is not there",
    flags: ["--log-uri", "binary:///nowhere/logger?x=y"],
    says: /STDIO_UNUSABLE.*\/nowhere\/logger|\/nowhere\/logger.*STDIO_UNUSABLE/s,
  },
  {
    what: "a cgroup that cannot be",
    flags: ["--cgroup", "/a/../../b"],
    says: /CGROUP_PATH_INVALID/,
  },
];

for (const [index, { what, flags = [], rootfs, says }] of REFUSALS.entries()) {
  test(`ctr is told of ${what}, and nothing is left`, { skip }, async () => {
    const id = `bad-${index}`;
    const source = rootfs === undefined ? [IMAGE] : ["--rootfs", rootfs];
    const words = ["run", "--detach", "--runtime", RUNTIME, ...flags, ...source, id, "true"];
    const { code, stderr } = await containerd.ctr(words, { allowFailure: true });
    assert.notEqual(code, 0);
    assert.match(stderr, says);
    assert.match(stderr, /^ctr: /, "an error of the client's, not a crash");
    // What ctr itself leaves of a container that did not start.
    await containerd.ctr(["container", "rm", id], { allowFailure: true });
    assert.deepEqual(await containerd.leftovers(), []);
    await world.assertNothingLeft();
  });
}

test("a bundle that is damaged ends the start with its reason", { skip }, async () => {
  const directory = join(containerd.directory, "rootfs");
  mkdirSync(directory, { recursive: true });
  const spec = world.write("spec.json", '{"ociVersion": "1.1.0", "process": {"args": 7}}');
  const { code, stderr } = await containerd.ctr(
    ["run", "--runtime", RUNTIME, "--config", spec, "--rootfs", directory, "damaged"],
    { allowFailure: true },
  );
  assert.notEqual(code, 0);
  assert.match(stderr, /^ctr: /);
  await containerd.ctr(["container", "rm", "damaged"], { allowFailure: true });
  assert.deepEqual(await containerd.leftovers(), []);
  await world.assertNothingLeft();
});
