// SPDX-License-Identifier: Apache-2.0
import type { BigIntStats } from "node:fs";
import * as v from "valibot";

/** Names of files in a template's directory. */
export const STATE_NAME = "state";
export const MEMORY_NAME = "memory";
export const MANIFEST_NAME = "manifest.json";

const Text = v.pipe(v.string(), v.maxLength(4096));
const FileIdentity = v.object({
  path: Text,
  device: Text,
  inode: Text,
  sizeBytes: Text,
  modifiedNs: Text,
  changedNs: Text,
});

/** `stamp` tells whether it was touched since; `sha256` is over data and where it lies. */
const SavedFile = v.object({
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  sizeBytes: v.number(),
  /** What it takes on disk. */
  usedBytes: v.number(),
  stamp: Text,
});

const Manifest = v.object({
  key: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  /** ISO 8601. */
  createdAt: Text,
  /** Size of the machine. */
  vcpus: v.number(),
  memoryMib: v.number(),
  inputs: v.object({
    format: v.number(),
    mukonVersion: Text,
    accelerator: v.picklist(["kvm", "tcg"]),
    processor: Text,
    argv: v.array(v.string()),
    files: v.object({
      qemu: FileIdentity,
      kernel: FileIdentity,
      initrd: FileIdentity,
      image: FileIdentity,
    }),
  }),
  /** What QEMU said of itself; "" when it did not. */
  qemuVersion: Text,
  /** The machine's devices, as QEMU has saved them. */
  state: SavedFile,
  /** The guest's memory, at the places where it was; what is empty takes no room. */
  memory: SavedFile,
});

export type SavedFile = v.InferOutput<typeof SavedFile>;

/** What a template was made from, and what it is. */
export type TemplateManifest = v.InferOutput<typeof Manifest>;

/** @throws an error of JSON or of the schema */
export function parseManifest(text: string): TemplateManifest {
  return v.parse(Manifest, JSON.parse(text));
}

/** Any change to a file, its owner or its mode changes this. */
export function stampOf({ dev, ino, size, mode, uid, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mode, uid, mtimeNs, ctimeNs].join(":");
}
