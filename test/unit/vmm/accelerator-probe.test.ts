// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { probeAccelerator, probeArguments } from "../../../src/vmm/qemu/accelerator-probe.ts";

const REQUEST = {
  wanted: "auto",
  qemuPath: "/usr/bin/qemu-system-x86_64",
  kernelPath: "/nonexistent/kernel",
  initrdPath: "/nonexistent/initrd",
} as const;

test("emulation that is asked for is not put to a test", async () => {
  assert.equal((await probeAccelerator({ ...REQUEST, wanted: "tcg" })).accelerator, "tcg");
});

test("without a KVM node there is emulation, and the reason", async () => {
  const found = await probeAccelerator({ ...REQUEST, kvmPath: "/nonexistent/kvm" });
  assert.equal(found.accelerator, "tcg");
  assert.match(found.reason, /there is no \/nonexistent\/kvm/);
});

test("KVM that is demanded and cannot be had is an error with a way out", async () => {
  const demand = { ...REQUEST, wanted: "kvm", kvmPath: "/nonexistent/kvm" } as const;
  await assert.rejects(probeAccelerator(demand), {
    code: "ACCELERATOR_UNAVAILABLE",
    hint: /mukon check/,
  });
});

test("what is no device, or is the root group's, is not tried", async () => {
  const file = await probeAccelerator({ ...REQUEST, kvmPath: "/etc/passwd" });
  assert.match(file.reason, /no device/);
  // As a character device of root's group it stands for a /dev/kvm that udev never saw.
  const ofRoot = await probeAccelerator({ ...REQUEST, kvmPath: "/dev/null" });
  assert.match(ofRoot.reason, /group of its own/);
});

test("the probe's QEMU has a user without rights, one group and the seccomp filter", () => {
  const argv = probeArguments(REQUEST, 107);
  const words = argv.join(" ");
  assert.match(words, /^setpriv --reuid 65534 --regid 65534 --groups 107 --nnp /);
  assert.match(words, /--bounding-set=-all/);
  assert.match(words, /-sandbox on,/);
  assert.match(words, /mukon_probe=1/);
});
