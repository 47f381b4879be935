// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { applyAnnotations } from "../../../src/config/annotations/apply.ts";
import { matchesGlob } from "../../../src/config/annotations/globs.ts";
import { applyOverrides, overrideAnnotations } from "../../../src/config/annotations/overrides.ts";
import { fails, load, loadFrom } from "./helpers.ts";

const HYPERVISOR = "io.katacontainers.config.hypervisor.";
const ROOTLESS = [`${HYPERVISOR}rootless`, "io.katacontainers.hypervisor.rootless"] as const;

test("a hypervisor annotation that is not enabled fails the pod", async () => {
  const loaded = await loadFrom({});
  for (const name of ["path", "machine_type", "enable_annotations", "x"]) {
    assert.throws(
      () => applyAnnotations(loaded, { [`${HYPERVISOR}${name}`]: "q35" }),
      fails("ANNOTATION_NOT_ENABLED", name),
    );
  }
});

test("an enabled annotation changes its setting and is named as its origin", async () => {
  const name = `${HYPERVISOR}default_memory`;
  const applied = applyAnnotations(await loadFrom({}), { [name]: "512" });
  assert.equal(applied.configuration.hypervisor.qemu.defaultMemory, 512);
  const origin = applied.origins.get("hypervisor.qemu.default_memory");
  assert.deepEqual(origin, { kind: "annotation", annotation: name });
});

test("expressions match anywhere in the name unless anchored, as in Kata", async (t) => {
  const loose = await load(t, "[hypervisor.qemu]\nenable_annotations = ['vcpus']");
  applyAnnotations(loose, { [`${HYPERVISOR}default_vcpus`]: "1" });
  const strict = await load(t, "[hypervisor.qemu]\nenable_annotations = ['^vcpus$']");
  assert.throws(
    () => applyAnnotations(strict, { [`${HYPERVISOR}default_vcpus`]: "1" }),
    fails("ANNOTATION_NOT_ENABLED"),
  );
});

test("either spelling switches rootless on, without any permission", async (t) => {
  const loaded = await load(t, "[hypervisor.qemu]\nrootless = false\nenable_annotations = []");
  for (const name of ROOTLESS) {
    const applied = applyAnnotations(loaded, { [name]: "true" });
    assert.equal(applied.configuration.hypervisor.qemu.rootless, true);
    assert.equal(applied.origins.get("hypervisor.qemu.rootless")?.annotation, name);
  }
});

test("neither spelling switches rootless off without enable_annotations", async (t) => {
  const closed = await loadFrom({});
  const open = await load(t, "[hypervisor.qemu]\nenable_annotations = ['rootless']");
  for (const name of ROOTLESS) {
    assert.throws(
      () => applyAnnotations(closed, { [name]: "false" }),
      fails("ANNOTATION_NOT_ENABLED", name),
    );
    const applied = applyAnnotations(open, { [name]: "false" });
    assert.equal(applied.configuration.hypervisor.qemu.rootless, false);
  }
});

test("when both spellings are there and differ, rootless stays on", async (t) => {
  const open = await load(t, "[hypervisor.qemu]\nenable_annotations = ['.*']");
  const [first, second] = ROOTLESS;
  for (const annotations of [
    { [first]: "true", [second]: "false" },
    { [first]: "false", [second]: "true" },
  ]) {
    const applied = applyAnnotations(open, annotations);
    assert.equal(applied.configuration.hypervisor.qemu.rootless, true);
  }
});

test("a rootless annotation that is no truth value fails the pod", async () => {
  const loaded = await loadFrom({});
  for (const value of ["", "yes", "TrUe", "false\u0000", " false"]) {
    assert.throws(
      () => applyAnnotations(loaded, { [ROOTLESS[1]]: value }),
      fails("ANNOTATION_VALUE", "true or false"),
    );
  }
});

test("a path must match the administrator's patterns, and climbs out of none", async (t) => {
  const loaded = await load(
    t,
    "[hypervisor.qemu]\nenable_annotations = ['.*']\nvalid_hypervisor_paths = ['/opt/qemu/*/bin/qemu-*']",
  );
  const path = `${HYPERVISOR}path`;
  const applied = applyAnnotations(loaded, { [path]: "/opt/qemu/9.1/bin/qemu-system-x86_64" });
  assert.match(applied.configuration.hypervisor.qemu.path, /9\.1/);
  for (const value of ["/opt/qemu/9.1/bin/sh", "/bin/sh", "/opt/qemu/a/b/bin/qemu-x"]) {
    assert.throws(
      () => applyAnnotations(loaded, { [path]: value }),
      fails("ANNOTATION_PATH", value),
    );
  }
  for (const value of ["/opt/qemu/../bin/qemu-x", "opt/qemu", "", "/opt//qemu/bin/qemu-x"]) {
    assert.throws(() => applyAnnotations(loaded, { [path]: value }), fails("ANNOTATION_VALUE"));
  }
});

test("a pod cannot have root open a file of its choice as kernel, initrd or image", async (t) => {
  const loaded = await load(t, "[hypervisor.qemu]\nenable_annotations = ['.*']");
  for (const asset of ["kernel", "initrd", "image"]) {
    assert.throws(
      () => applyAnnotations(loaded, { [`${HYPERVISOR}${asset}`]: "/etc/shadow" }),
      fails("ANNOTATION_PATH", "valid_asset_paths"),
    );
  }
});

test("no annotation sets the lists that guard annotations, or virtiofsd's arguments", async (t) => {
  const loaded = await load(t, "[hypervisor.qemu]\nenable_annotations = ['.*']");
  for (const name of [
    "enable_annotations",
    "valid_hypervisor_paths",
    "seccompsandbox",
    "virtio_fs_extra_args",
  ]) {
    const applied = applyAnnotations(loaded, { [`${HYPERVISOR}${name}`]: ".*" });
    assert.deepEqual(applied.configuration, applyAnnotations(loaded, {}).configuration);
    assert.equal(applied.warnings.length, loaded.warnings.length + 1);
  }
});

test("kernel_params adds to the administrator's, and stays within its length", async (t) => {
  const loaded = await load(t, "[hypervisor.qemu]\nkernel_params = 'audit=1'");
  const name = `${HYPERVISOR}kernel_params`;
  const applied = applyAnnotations(loaded, { [name]: "quiet" });
  assert.equal(applied.configuration.hypervisor.qemu.kernelParams, "audit=1 quiet");
  assert.throws(
    () => applyAnnotations(loaded, { [name]: "x".repeat(1535) }),
    fails("ANNOTATION_VALUE"),
  );
  assert.throws(() => applyAnnotations(loaded, { [name]: "a\nb" }), fails("ANNOTATION_VALUE"));
});

test("numbers are plain decimal and within bounds", async () => {
  const loaded = await loadFrom({});
  for (const value of [
    "-1",
    "0x200",
    "1e3",
    "127",
    "99999999",
    "",
    " 512",
    "512 ",
    "NaN",
    "Infinity",
  ]) {
    assert.throws(
      () => applyAnnotations(loaded, { [`${HYPERVISOR}default_memory`]: value }),
      fails("ANNOTATION_VALUE", "128"),
      value,
    );
  }
});

test("runtime and agent annotations need no permission, strangers warn", async () => {
  const applied = applyAnnotations(await loadFrom({}), {
    "io.katacontainers.config.runtime.create_container_timeout": "120",
    "io.katacontainers.config.runtime.create_container_timeuot": "120",
    "io.katacontainers.config.runtime.disable_new_netns": "true",
    "example.com/unrelated": "x",
  });
  assert.equal(applied.configuration.runtime.createContainerTimeout, 120);
  assert.equal(applied.warnings.length, 2);
  assert.ok(applied.warnings.some((warning) => warning.includes("Did you mean")));
  assert.ok(applied.warnings.some((warning) => warning.includes("known to Kata")));
});

test("an expression that takes exponential time is cut off", async (t) => {
  const loaded = await load(t, "[hypervisor.qemu]\nenable_annotations = ['^(a+)+$']");
  const name = `${HYPERVISOR}${"a".repeat(60)}!`;
  assert.throws(() => applyAnnotations(loaded, { [name]: "1" }), fails("ANNOTATION_PATTERN_SLOW"));
});

test("a glob's star and question mark stay within one folder", () => {
  assert.ok(matchesGlob("/usr/bin/qemu-kvm", "/usr/bin/qemu-*"));
  assert.ok(matchesGlob("/a/b", "/?/b"));
  assert.ok(matchesGlob("/a/", "/a/*"));
  assert.ok(!matchesGlob("/usr/bin/x/qemu-kvm", "/usr/bin/*"));
  assert.ok(!matchesGlob("/usr/bin", "/usr"));
  assert.ok(!matchesGlob("/usr/..", "/usr/*"));
  assert.ok(!matchesGlob(`/${"a".repeat(5000)}`, `/${"*a".repeat(200)}b`));
});

test("sizes of a command line go as annotations, and as the shipped file allows them", async () => {
  assert.deepEqual(overrideAnnotations({ memoryMib: 512 }), {
    [`${HYPERVISOR}default_memory`]: "512",
  });
  const applied = applyOverrides(await loadFrom({}), { memoryMib: 300, vcpus: 1 });
  assert.equal(applied.configuration.hypervisor.qemu.defaultMemory, 300);
});
