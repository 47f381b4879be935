// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { probeAccelerator, probeArguments } from "../../../src/vmm/qemu/accelerator-probe.ts";
import { needsKvmGroup, takesKvmDescriptor } from "../../../src/vmm/qemu/kvm-access.ts";

const REQUEST = {
  wanted: "auto",
  kvmAccess: "group",
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
  assert.match(words, /-accel kvm -cpu/);
});

test("or no group at all, and KVM as a descriptor", () => {
  const words = probeArguments(REQUEST, undefined).join(" ");
  assert.match(words, /^setpriv --reuid 65534 --regid 65534 --clear-groups --nnp /);
  assert.match(words, /-add-fd fd=5,set=1 .*-accel kvm,device=\/dev\/fdset\/1 /);
});

test("a QEMU is asked whether it takes KVM as a descriptor; one that cannot is no reason for a group", async () => {
  const folder = mkdtempSync(join(tmpdir(), "mukon-probe-"));
  const program = (name: string, words: string): string => {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\necho "$0: $*: ${words}" >&2\nexit 1\n`, { mode: 0o755 });
    return path;
  };
  chmodSync(folder, 0o755);
  try {
    const old = program("old", "Property 'kvm-accel.device' not found");
    const today = program("today", "Could not access KVM kernel module: No such file or directory");
    assert.deepEqual(
      [await takesKvmDescriptor(old), await takesKvmDescriptor(today)],
      [false, true],
    );
    for (const [wanted, qemu, isGroup] of [
      ["auto", old, true],
      ["auto", today, false],
      ["group", today, true],
      ["descriptor", old, false],
    ] as const) {
      assert.equal(await needsKvmGroup(wanted, qemu), isGroup, `${wanted} ${qemu}`);
    }
    const demand = {
      ...REQUEST,
      qemuPath: old,
      kvmAccess: "descriptor",
      kvmPath: "/dev/null",
    } as const;
    assert.match((await probeAccelerator(demand)).reason, /takes no descriptor/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
