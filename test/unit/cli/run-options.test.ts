// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkRunOptions } from "../../../src/cli/commands/run-options.ts";

test("nothing given: attached, kept, no terminal said", () => {
  const options = checkRunOptions({});
  assert.equal(options.detach, false);
  assert.equal(options.removeAtExit, false);
  assert.equal(options.terminal, undefined);
  assert.equal(options.pull, "missing");
});

test("annotations keep '=' in their values", () => {
  const options = checkRunOptions({ annotation: ["a.b/c=d=e"] });
  assert.deepEqual(options.annotations, { "a.b/c": "d=e" });
});

test("volumes, mounts and devices all become mounts of the specification", () => {
  const options = checkRunOptions({
    volume: ["/srv:/a:ro"],
    mount: [
      "type=ext4,src=/disk.img,dst=/b,readonly",
      "source=/srv,target=/c",
      "type=tmpfs,target=/d,tmpfs-size=1m",
    ],
    device: [`${import.meta.filename}:/dev/xvda:r`],
  });
  const mounts = options.mounts.map(({ type, source, destination, options }) =>
    [type, source, destination, options?.join()].join(" "),
  );
  assert.deepEqual(mounts, [
    "bind /srv /a rbind,rprivate,ro",
    "ext4 /disk.img /b nosuid,nodev,ro",
    "bind /srv /c rbind,rprivate,rw",
    "tmpfs tmpfs /d nosuid,nodev,rw,size=1048576",
    `bind ${import.meta.filename} /dev/xvda bind,ro,io.katacontainers.fs-opt.block_device=file`,
  ]);
});

test("each wrong value is refused, naming its option", () => {
  const wrong: [string, Parameters<typeof checkRunOptions>[0]][] = [
    ["--memory", { memory: "lots" }],
    ["--cpus", { cpus: "0" }],
    ["--workdir", { workdir: "relative" }],
    ["--hostname", { hostname: "no spaces" }],
    ["--annotation", { annotation: ["novalue"] }],
    ["--pull", { pull: "sometimes" }],
    ["--hypervisor", { hypervisor: "xen" }],
    ["--timeout", { timeout: "never" }],
    ["--device", { device: ["/dev/null"] }],
    ["--device", { device: ["/nonexistent:/dev/xvda"] }],
    ["--device", { device: [`${import.meta.filename}:relative`] }],
    ["--device", { device: [`${import.meta.filename}:/dev/xvda:x`] }],
    ["--mount", { mount: ["type=ext4,source=/disk"] }],
    ["--mount", { mount: ["type=ntfs,source=/disk,target=/data"] }],
    ["--mount", { mount: ["source=/a,source=/b,target=/data"] }],
    ["--mount", { mount: ["source=/a,target=/data,colour=red"] }],
    ["--mount", { mount: ["type=tmpfs,target=/data,tmpfs-size=lots"] }],
    ["container name", { name: "../escape" }],
  ];
  for (const [option, raw] of wrong) {
    assert.throws(
      () => checkRunOptions(raw),
      { code: "USAGE", message: new RegExp(option) },
      option,
    );
  }
});
