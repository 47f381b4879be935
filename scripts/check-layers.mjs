// SPDX-License-Identifier: Apache-2.0
// Imports go one way: a folder may import those of lower layers, and of its own layer only itself;
// no file imports itself by way of others, not even for a type.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const layers = [
  ["src/errors", "src/version.ts"],
  ["src/logging"],
  ["src/linux"],
  ["src/ttrpc", "src/generated"],
  ["src/config", "src/guest-protocol", "src/vmm", "guest/image"],
  ["src/host", "src/images"],
  ["src/sandbox"],
  ["src/keeper", "src/shim", "src/passt", "src/node-install"],
  ["src/cli"],
];
/** Pairs of one layer where one side is plain data of the other. */
const allowed = [
  ["src/ttrpc", "src/generated"],
  ["src/images", "src/host"],
];
/** Runs in the guest: shares no code with the host's side. */
const apart = "guest/agent";

const problems = [];
const imports = new Map(
  [...sources("src"), ...sources("guest")].map((file) => [file, importsOf(file)]),
);
for (const [file, targets] of imports) {
  const from = folderOf(file);
  for (const target of targets) {
    const to = folderOf(target);
    if (to === undefined || from === undefined || from === to) continue;
    if (!isAllowed(from, to)) problems.push(`${file} imports ${target}: ${from} may not use ${to}`);
  }
}
for (const circle of circles()) problems.push(`imports in a circle: ${circle.join(" -> ")}`);
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
console.log("layers: imports go one way");

/** One circle for each import that leads back, found by walking the imports depth first. */
function circles() {
  const found = [];
  const done = new Set();
  const path = [];
  const visit = (file) => {
    const start = path.indexOf(file);
    if (start !== -1) found.push([...path.slice(start), file]);
    if (start !== -1 || done.has(file)) return;
    path.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return found;
}

function isAllowed(from, to) {
  if (from === apart || to === apart) return false;
  if (allowed.some(([a, b]) => a === from && b === to)) return true;
  return layerOf(to) < layerOf(from);
}

function layerOf(folder) {
  return layers.findIndex((layer) => layer.includes(folder));
}

function folderOf(file) {
  const known = [...layers.flat(), apart];
  const folder = known.find((name) => file === name || file.startsWith(`${name}/`));
  if (folder === undefined && /^(src|guest)\//.test(file)) {
    problems.push(`${file} is in no known layer (see scripts/check-layers.mjs)`);
  }
  return folder;
}

function importsOf(file) {
  const text = readFileSync(join(root, file), "utf8");
  const pattern = /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g;
  return [...text.matchAll(pattern)].map((match) =>
    relative(root, resolve(root, dirname(file), match[1])),
  );
}

function sources(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((name) => name.endsWith(".ts"));
}
