// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { appletPaths } from "../../../guest/image/busybox-image.ts";
import { initramfsScript, initScript, MOUNT_TABLE } from "../../../guest/image/init-scripts.ts";
import { run } from "../../../src/linux/run.ts";

const scripts = {
  "the initramfs": initramfsScript({ pmem: ["libnvdimm", "erofs"], disk: ["virtio_blk"] }),
  "the image": initScript(),
};

for (const [name, text] of Object.entries(scripts)) {
  test(`the script of ${name} is valid shell`, async () => {
    await run(["sh", "-n"], { input: text });
  });
}

test("modules are loaded in the order given", () => {
  const lines = scripts["the initramfs"].split("\n").filter((line) => line.includes("insmod"));
  assert.deepEqual(
    lines.map((line) => line.trim()),
    ["insmod /modules/libnvdimm.ko", "insmod /modules/erofs.ko", "insmod /modules/virtio_blk.ko"],
  );
});

test("everything writable in the guest is mounted without set-user-id and device files", () => {
  for (const line of MOUNT_TABLE.split("\n").filter((text) => text.includes(" tmpfs "))) {
    assert.match(line, /nosuid,nodev/);
  }
});

test("names of applets that would leave the image are left out", () => {
  const text =
    "bin/sh\nusr/bin/[[\n../bin/x\nbin/../../x\n/bin/x\nlinuxrc\nbin/busybox\nsbin/ip\nbin/sh\n";
  assert.deepEqual(appletPaths(text), ["bin/sh", "sbin/ip", "usr/bin/[["]);
});
