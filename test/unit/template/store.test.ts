// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { applyAnnotations } from "../../../src/config/annotations/apply.ts";
import { loadedDefaults } from "../../../src/config/load.ts";
import { templatesDirectory } from "../../../src/linux/paths.ts";
import { createLogger } from "../../../src/logging/logger.ts";
import { removeStaleTemplates } from "../../../src/sandbox/template/build.ts";
import {
  forgetFailure,
  lastFailureMs,
  noteFailure,
} from "../../../src/sandbox/template/failures.ts";
import { findTemplate } from "../../../src/sandbox/template/find.ts";
import { templateInputs, templateKey } from "../../../src/sandbox/template/inputs.ts";
import type { TemplateManifest } from "../../../src/sandbox/template/manifest.ts";
import {
  beginTemplate,
  discardDraft,
  listTemplates,
  openedBy,
  openTemplate,
  publishTemplate,
  readTemplate,
  removeTemplate,
  touchTemplate,
  verifyTemplate,
} from "../../../src/sandbox/template/store.ts";
import { VERSION } from "../../../src/version.ts";
import { useTemporaryRoots } from "../host/roots.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const OTHER = "f".repeat(32);

const { root } = useTemporaryRoots();
beforeEach(() => {
  for (const key of listTemplates()) removeTemplate(key);
});

/** What a template of files that are there would have been made from. */
function factsOf(key: string): Omit<TemplateManifest, "state" | "memory"> {
  const path = join(root(), "input");
  writeFileSync(path, "input", { flag: "a" });
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  const [device, inode, sizeBytes] = [dev, ino, size].map(String) as [string, string, string];
  const times = { modifiedNs: String(mtimeNs), changedNs: String(ctimeNs) };
  const file = { path, device, inode, sizeBytes, ...times };
  return {
    ...{ key, createdAt: new Date().toISOString(), vcpus: 1, memoryMib: 512 },
    qemuVersion: "7.2.22",
    inputs: {
      ...{ format: 6, mukonVersion: VERSION, accelerator: "tcg", processor: "", argv: [] },
      files: { qemu: file, kernel: file, initrd: file, image: file },
    },
  };
}

async function store(key: string, facts = factsOf(key)): Promise<TemplateManifest> {
  const draft = beginTemplate();
  writeSync(draft.state, `state of ${key}`);
  writeSync(draft.memory, `memory of ${key}`, 1024 * 1024);
  try {
    return await publishTemplate(draft, facts);
  } finally {
    openedBy(draft).forEach(closeSync);
  }
}

test("a template is there, whole, once it has its name, and not before", async () => {
  const draft = beginTemplate();
  writeSync(draft.state, "half");
  assert.equal(openTemplate(KEY), undefined);
  assert.deepEqual(listTemplates(), []);
  discardDraft(draft);
  openedBy(draft).forEach(closeSync);
  const manifest = await store(KEY);
  assert.deepEqual(listTemplates(), [KEY]);
  assert.deepEqual(readTemplate(KEY), manifest);
  await verifyTemplate(KEY);
});

test("the descriptors of a template read and do not write", async () => {
  await store(KEY);
  const template = openTemplate(KEY);
  assert.ok(template);
  const buffer = Buffer.alloc(100);
  const read = (fd: number, position: number): string =>
    buffer.toString("utf8", 0, readSync(fd, buffer, 0, buffer.length, position));
  assert.equal(read(template.state, 0), `state of ${KEY}`);
  assert.equal(read(template.memory, 1024 * 1024), `memory of ${KEY}`);
  for (const descriptor of openedBy(template)) {
    assert.throws(() => writeSync(descriptor, "x"), { code: "EBADF" });
    closeSync(descriptor);
  }
});

test("nobody but root gets near", async () => {
  await store(KEY);
  const names = ["", KEY, `${KEY}/state`, `${KEY}/manifest.json`, `${KEY}/memory`];
  const modes = names.map((name) =>
    (statSync(join(templatesDirectory(), name)).mode & 0o777).toString(8),
  );
  // The last can be opened again by a VMM that has its descriptor, to map it, but only for reading.
  assert.deepEqual(modes, ["700", "700", "400", "400", "444"]);
});

const path = (name: string): string => join(templatesDirectory(), KEY, name);
const HARM: Record<string, () => void> = {
  "bytes were added": () => appendFileSync(path("state"), "x"),
  "a byte was changed, and the time put back": () => {
    const { atime, mtime } = statSync(path("state"));
    writeFileSync(path("state"), `State of ${KEY}`);
    utimesSync(path("state"), atime, mtime);
  },
  "its mode was changed": () => chmodSync(path("state"), 0o600),
  "it was replaced by a link": () => {
    renameSync(path("state"), path("old"));
    symlinkSync("old", path("state"));
  },
  "it was replaced by a directory": () => {
    renameSync(path("state"), path("old"));
    mkdirSync(path("state"));
  },
  "a byte of its memory was changed": () => {
    const { atime, mtime } = statSync(path("memory"));
    writeFileSync(path("memory"), "x", { flag: "r+" });
    utimesSync(path("memory"), atime, mtime);
  },
  "its memory is gone": () => renameSync(path("memory"), path("old")),
  "its state is gone": () => renameSync(path("state"), path("old")),
  "its manifest is gone": () => renameSync(path("manifest.json"), path("old")),
  "its manifest is half a manifest": () => {
    writeFileSync(path("manifest.json"), readFileSync(path("manifest.json"), "utf8").slice(0, 90));
  },
  "its manifest is another one's": () => {
    const text = readFileSync(path("manifest.json"), "utf8").replace(KEY, OTHER);
    writeFileSync(path("manifest.json"), text);
  },
};
for (const [name, harm] of Object.entries(HARM)) {
  test(`a template is not used when ${name}`, async () => {
    await store(KEY);
    harm();
    assert.throws(() => openTemplate(KEY), { code: "TEMPLATE_DAMAGED" });
  });
}

for (const name of ["state", "memory"] as const) {
  test(`a ${name} whose hash is wrong is found out by whoever looks closely`, async () => {
    const manifest = await store(KEY);
    const { sha256 } = manifest[name];
    const forged = {
      ...manifest,
      [name]: { ...manifest[name], sha256: sha256.replace(/^../, "zz") },
    };
    const wrong = JSON.stringify(forged).replace("zz", sha256.startsWith("ab") ? "cd" : "ab");
    writeFileSync(path("manifest.json"), wrong);
    await assert.rejects(verifyTemplate(KEY), { code: "TEMPLATE_DAMAGED" });
  });
}

test("what a killed builder has left goes when the next one begins", async () => {
  openedBy(beginTemplate()).forEach(closeSync);
  await store(KEY);
  assert.deepEqual(
    readdirSync(templatesDirectory()).filter((name) => name.startsWith(".new")),
    [],
  );
});

test("no name leads out of the store", () => {
  for (const key of ["..", "../../etc", "", ".lock", KEY.toUpperCase(), `${KEY}/state`]) {
    assert.throws(() => openTemplate(key), { code: "TEMPLATE_UNKNOWN" }, key);
    assert.throws(() => removeTemplate(key), { code: "TEMPLATE_UNKNOWN" }, key);
  }
});

test("those that were of use last are kept, and none that nothing fits any more", async () => {
  const facts = factsOf(KEY);
  const keys = ["a", "b", "c"].map((letter) => letter.repeat(32));
  for (const key of keys) await store(key, { ...facts, key });
  for (const [index, key] of keys.entries()) {
    utimesSync(join(templatesDirectory(), key), 1000 + index, 1000 + index);
  }
  touchTemplate(keys[0] ?? "");
  await removeStaleTemplates(2);
  assert.deepEqual(listTemplates(), [keys[0], keys[2]]);
  // Their input is written to: from now on they are of no use.
  await store(KEY, factsOf(KEY));
  await removeStaleTemplates(2);
  assert.deepEqual(listTemplates(), [KEY]);
});

test("removing what is not there is told, and removing twice is not an error", async () => {
  await store(KEY);
  assert.equal(removeTemplate(KEY), true);
  assert.equal(removeTemplate(KEY), false);
  assert.equal(openTemplate(KEY), undefined);
});

test("that a template was of no use is remembered until one is made", () => {
  assert.equal(lastFailureMs(KEY), 0);
  noteFailure(KEY, "QEMU said no");
  assert.ok(Date.now() - lastFailureMs(KEY) < 60_000);
  assert.deepEqual(listTemplates(), []);
  forgetFailure(KEY);
  assert.equal(lastFailureMs(KEY), 0);
});

test("a pod whose template is damaged is told so in the log, and has none", async () => {
  const lines: string[] = [];
  const log = createLogger({ component: "test", sink: (line) => lines.push(line) });
  const file = join(root(), "file");
  writeFileSync(file, Buffer.alloc(2 * 1024 * 1024));
  const settings = applyAnnotations(loadedDefaults(), {}).configuration.hypervisor.qemu;
  const machine = {
    settings: { ...settings, path: file },
    files: { kernelPath: file, initrdPath: file, imagePath: file },
    accelerator: "tcg" as const,
  };
  assert.equal(findTemplate(machine, log), undefined);
  assert.deepEqual(lines, []);
  const key = templateKey(templateInputs(machine));
  await store(key);
  chmodSync(join(templatesDirectory(), key, "state"), 0o600);
  assert.equal(findTemplate(machine, log), undefined);
  assert.match(lines.join(), /"level":"warn".*damaged/);
  assert.deepEqual(listTemplates(), []);
});
