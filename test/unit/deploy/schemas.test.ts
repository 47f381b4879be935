// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Manifest, MODELS, parseManifests, readManifests } from "./manifests.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

/** What Kubernetes' schemas say is wrong; undefined: nothing. */
function complaint({ kind, object }: Manifest): string | undefined {
  try {
    // biome-ignore lint/suspicious/noExplicitAny: whether it fits is what is asked
    new MODELS[kind](object as any).validate();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Fields that Kubernetes does not know, which its schemas let pass: what tsc says of literals. */
function unknownFields(manifests: readonly Manifest[]): string {
  const directory = mkdtempSync(join(tmpdir(), "mukon-manifests-"));
  try {
    symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
    const lines = manifests.map(({ kind, apiVersion, object, file }, index) => {
      const type = `import("kubernetes-models/${apiVersion}/${kind}").I${kind}`;
      return `// ${file}\nexport const manifest${index}: ${type} = ${JSON.stringify(object)};`;
    });
    writeFileSync(join(directory, "manifests.ts"), `${lines.join("\n")}\n`);
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(ROOT, "node_modules/typescript/bin/tsc"),
        ...["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--types", "node"],
        "manifests.ts",
      ],
      { cwd: directory, encoding: "utf8" },
    );
    return stdout + stderr;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test("every manifest is what Kubernetes' schemas say", () => {
  const manifests = readManifests();
  assert.ok(manifests.length >= 10);
  for (const manifest of manifests) {
    assert.equal(complaint(manifest), undefined, `${manifest.file}: ${manifest.kind}`);
  }
});

test("no manifest has a field that Kubernetes does not know", () => {
  assert.equal(unknownFields(readManifests()), "");
});

test("these two tests can fail", () => {
  const wrong = parseManifests(
    "wrong.yaml",
    "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata:\n  name: x\nhandler: 1\n",
  );
  assert.match(complaint(wrong[0] as Manifest) ?? "", /handler/);
  const unknown = parseManifests(
    "unknown.yaml",
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\nspec:\n  runtimeClass: x\n  containers: []\n",
  );
  assert.match(unknownFields(unknown), /runtimeClass/);
  assert.throws(() => parseManifests("twice.yaml", "kind: Pod\nkind: Pod\nmetadata: {name: x}\n"));
});
