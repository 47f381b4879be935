// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { applyAnnotations } from "../../../src/config/annotations/apply.ts";
import { whyKataPathIsLeft } from "../../../src/config/file/kata-paths.ts";
import { KATA_ONLY_ANNOTATIONS } from "../../../src/config/keys/kata-annotations.ts";
import { KATA_ONLY_KEYS } from "../../../src/config/keys/kata-only.ts";
import { SETTINGS_BY_KEY } from "../../../src/config/keys/registry.ts";
import { fails, folderWith, load, loadFrom } from "./helpers.ts";
import { KATA_COMMENTED } from "./kata-known.ts";

const STOCK = readFileSync(new URL("kata-stock.toml", import.meta.url), "utf8");

test("Kata's own file is taken as it is: mukon's guest and programs, and one list of the rest", async (t) => {
  const loaded = await load(t, STOCK);
  const { qemu } = loaded.configuration.hypervisor;
  const defaults = await loadFrom({});
  for (const key of ["kernel", "image", "path", "virtioFsDaemon"] as const) {
    assert.equal(qemu[key], defaults.configuration.hypervisor.qemu[key], key);
  }
  assert.equal(qemu.rootless, true, "Kata's file does not name it, and mukon's default stays");
  assert.equal(qemu.cpuFeatures, "pmu=off");
  const lists = loaded.warnings.filter((warning) => warning.includes("settings without effect"));
  assert.equal(lists.length, 1, loaded.warnings.join("\n"));
  const listed = [...(lists[0] ?? "").matchAll(/([a-z_.0-9]+) \(line \d+\)/g)].map(
    ([, key]) => key,
  );
  assert.deepEqual(listed, [
    ...["rootfs_type", "vm_rootfs_driver"].map(inQemu),
    ...["vhost_user_store_path", "valid_vhost_user_store_paths"].map(inQemu),
    ...["valid_file_mem_backends", "valid_entropy_sources", "disable_selinux"].map(inQemu),
    ...["name", "agent_name", "static_sandbox_resource_mgmt", "vfio_mode"].map(inRuntime),
    ...["disable_guest_empty_dir", "dan_conf"].map(inRuntime),
  ]);
  const others = loaded.warnings.filter((warning) => !lists.includes(warning));
  assert.deepEqual(
    others.map(
      (warning) => /: (hypervisor\.qemu\.\w+) is (of Kata's guest|a program)/.exec(warning)?.[1],
    ),
    ["path", "kernel", "image", "virtio_fs_daemon"].map(inQemu),
  );
});

test("a missing program that is not Kata's stays what the administrator wrote", async (t) => {
  const loaded = await load(t, '[hypervisor.qemu]\npath = "/opt/mine/qemu"\n');
  assert.equal(loaded.configuration.hypervisor.qemu.path, "/opt/mine/qemu");
});

test("a program of Kata's counts where it is there, its guest never", () => {
  const entry = (key: string, value: string) => {
    const setting = SETTINGS_BY_KEY.get(`hypervisor.qemu.${key}`);
    assert.ok(setting);
    return { setting, value, line: 1 };
  };
  const qemu = entry("path", "/opt/kata/bin/qemu-system-x86_64");
  const image = entry("image", "/usr/share/kata-containers/kata-containers.img");
  assert.equal(
    whyKataPathIsLeft(qemu, () => true),
    undefined,
  );
  assert.match(whyKataPathIsLeft(qemu, () => false) ?? "", /not installed/);
  assert.match(whyKataPathIsLeft(image, () => true) ?? "", /vsock/);
  assert.equal(
    whyKataPathIsLeft(entry("image", "/srv/mine.img"), () => false),
    undefined,
  );
});

test("every setting that Kata's files name, commented out or not, is known", () => {
  for (const [table, keys] of Object.entries(KATA_COMMENTED)) {
    for (const key of keys) {
      const isKnown =
        SETTINGS_BY_KEY.has(`${table}.${key}`) || KATA_ONLY_KEYS[table]?.includes(key);
      assert.ok(isKnown, `${table}.${key}`);
    }
  }
});

test("a setting that asks for a protection mukon lacks ends the start, unless it is off", async (t) => {
  for (const line of ["confidential_guest = true", "sev_snp_guest = true", 'initdata = "x"']) {
    const file = `[hypervisor.qemu]\n${line}\n`;
    await assert.rejects(
      load(t, file),
      fails("CONFIG_UNSUPPORTED", ":2:", line.split(" ")[0] ?? ""),
    );
  }
  await assert.rejects(load(t, '[agent.kata]\npolicy = "x"\n'), fails("CONFIG_UNSUPPORTED"));
  const off = await load(t, "[hypervisor.qemu]\nconfidential_guest = false\n");
  assert.deepEqual(off.warnings, []);
});

test("an annotation that asks for a protection mukon lacks is refused, even where it is enabled", async (t) => {
  const loaded = await load(t, '[hypervisor.qemu]\nenable_annotations = [".*"]\n');
  for (const name of ["hypervisor.kernel_hash", "hypervisor.cc_init_data", "agent.policy"]) {
    const annotations = { [`io.katacontainers.config.${name}`]: "abc" };
    assert.throws(
      () => applyAnnotations(loaded, annotations),
      fails("ANNOTATION_UNSUPPORTED", name),
    );
  }
});

test("no annotation in Kata's name is passed over in silence", async (t) => {
  const loaded = await load(t, '[hypervisor.qemu]\nenable_annotations = [".*"]\n');
  for (const name of [...KATA_ONLY_ANNOTATIONS, "io.katacontainers.config.hypervisr.path"]) {
    const { warnings } = applyAnnotations(loaded, { [name]: "1" });
    assert.equal(warnings.filter((warning) => warning.includes(name)).length, 1, name);
  }
  const own = { "io.katacontainers.pkg.oci.container_type": "pod_sandbox", "other.example/x": "1" };
  assert.deepEqual(applyAnnotations(loaded, own).warnings, []);
});

test("lists of files do not mix, and a drop-in has its own", async (t) => {
  const folder = folderWith(t, {
    "configuration.toml": "[hypervisor.qemu]\nenable_iommu = true\n",
    "config.d/50-x.toml": '[runtime]\n\nvfio_mode = "vfio"\n',
  });
  const { warnings } = await loadFrom({ path: `${folder}/configuration.toml` });
  assert.match(
    warnings[0] ?? "",
    /configuration\.toml: .*: hypervisor\.qemu\.enable_iommu \(line 2\)\.$/,
  );
  assert.match(warnings[1] ?? "", /50-x\.toml: .*: runtime\.vfio_mode \(line 3\)\.$/);
});

function inQemu(key: string): string {
  return `hypervisor.qemu.${key}`;
}

function inRuntime(key: string): string {
  return `runtime.${key}`;
}
