// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { applyAnnotations } from "../../../src/config/annotations/apply.ts";
import { loadConfiguration, loadedDefaults } from "../../../src/config/load.ts";
import {
  isCurrent,
  type MachineDescription,
  mayUseTemplate,
  templateInputs,
  templateKey,
} from "../../../src/sandbox/template/inputs.ts";

const PREFIX = "io.katacontainers.config.hypervisor.";
const IMAGE_BYTES = 2 * 1024 * 1024;

const directory = mkdtempSync(join(tmpdir(), "mukon-template-"));
after(() => rmSync(directory, { recursive: true }));
const file = (name: string, size = 10): string => {
  const path = join(directory, name);
  writeFileSync(path, Buffer.alloc(size));
  return path;
};
const files = {
  kernelPath: file("vmlinux"),
  initrdPath: file("initrd"),
  imagePath: file("image", IMAGE_BYTES),
};
const defaults = applyAnnotations(loadedDefaults(), {}).configuration.hypervisor.qemu;
const machine: MachineDescription = {
  settings: { ...defaults, path: file("qemu") },
  files,
  accelerator: "tcg",
};
const keyOf = (changed: Partial<MachineDescription> = {}): string =>
  templateKey(templateInputs({ ...machine, ...changed }));

test("the same machine has the same key, which is fit for a file's name", () => {
  assert.equal(keyOf(), keyOf());
  assert.match(keyOf(), /^[0-9a-f]{32}$/);
});

test("every part of the machine makes another key", () => {
  const changes: Partial<MachineDescription>[] = [
    { accelerator: "kvm" },
    { accelerator: "kvm", kvmAccess: "descriptor" },
    ...[
      { defaultMemory: 777 },
      { defaultVcpus: 3 },
      { defaultMaxvcpus: 7 },
      { kernelParams: "x=1" },
      { cpuFeatures: "+x" },
      { machineAccelerators: "hpet=off" },
      { enableDebug: true },
      { path: file("other-qemu") },
    ].map((change) => ({ settings: { ...machine.settings, ...change } })),
    { files: { ...files, kernelPath: file("other-vmlinux") } },
    { files: { ...files, initrdPath: file("other-initrd") } },
    { files: { ...files, imagePath: file("other-image", IMAGE_BYTES) } },
  ];
  const keys = [keyOf(), ...changes.map(keyOf)];
  assert.equal(new Set(keys).size, keys.length);
});

test("a file that was replaced or written to makes another key, whatever its times say", () => {
  for (const path of [machine.settings.path, files.kernelPath, files.initrdPath, files.imagePath]) {
    const before = keyOf();
    const inputs = templateInputs(machine);
    assert.ok(isCurrent(inputs));
    const size = path === files.imagePath ? IMAGE_BYTES : 10;
    const other = join(directory, "replacement");
    writeFileSync(other, Buffer.alloc(size, 1));
    utimesSync(other, 1, 1);
    renameSync(other, path);
    assert.notEqual(keyOf(), before, path);
    assert.ok(!isCurrent(inputs), path);
    const replaced = keyOf();
    writeFileSync(path, Buffer.alloc(size, 2));
    utimesSync(path, 1, 1);
    assert.notEqual(keyOf(), replaced, path);
  }
});

test("nothing of the host's but numbers of descriptors is in the plan, and no pod's name", () => {
  const { argv } = templateInputs(machine);
  assert.ok(!argv.includes("-incoming"));
  const paths = argv.slice(1).flatMap((word) => word.match(/\/[^,= ]+/g) ?? []);
  for (const path of paths) assert.match(path, /^\/proc\/self\/fd\/\d+$/);
  assert.equal(argv[argv.indexOf("-name") + 1], "template,debug-threads=on");
});

function load(text: string) {
  const path = join(directory, "configuration.toml");
  writeFileSync(path, text);
  return loadConfiguration({ path, env: {} });
}

test("templates are in use unless they are switched off, or the VMM runs as root", async () => {
  assert.ok(mayUseTemplate(applyAnnotations(await load(""), {})));
  for (const text of [
    "[factory]\nenable_template = false\n",
    "[hypervisor.qemu]\nrootless = false\n",
  ]) {
    assert.ok(!mayUseTemplate(applyAnnotations(await load(text), {})), text);
  }
});

test("a pod may ask for a size; whatever else it says of its machine keeps it from templates", async () => {
  const loaded = await load(
    '[hypervisor.qemu]\nenable_annotations = [".*"]\nvalid_hypervisor_paths = ["/*", "/*/*"]\nvalid_asset_paths = ["/*"]\n',
  );
  const may = (annotations: Record<string, string>): boolean =>
    mayUseTemplate(applyAnnotations(loaded, annotations, { memoryLimitBytes: 2 ** 28 }));
  assert.ok(may({ [`${PREFIX}default_memory`]: "512", [`${PREFIX}default_vcpus`]: "2" }));
  assert.ok(may({ "com.example.tenant": "somebody" }));
  for (const [name, value] of Object.entries({
    kernel_params: "tenant=secret",
    machine_accelerators: "hpet=off",
    cpu_features: "+aes",
    path: "/x",
    kernel: "/k",
  })) {
    assert.ok(!may({ [`${PREFIX}${name}`]: value }), name);
  }
});
