// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { sha256OfFile } from "./hashes.ts";
import type { GuestFile } from "./manifest.ts";

/** What a file looked like when its hash was right: path → stamp. */
const StampsSchema = v.record(v.string(), v.string());
type Stamps = v.InferOutput<typeof StampsSchema>;

/**
 * Compares files with their hashes. Those that look as they did when they were last found right
 * are not read again: hashing 110 MB would cost every pod a part of a second.
 * @param stampPath in a directory that only root can write
 * @throws MukonError GUEST_HASH_MISMATCH
 */
export async function verifyFiles(
  directory: string,
  files: readonly GuestFile[],
  stampPath: string,
): Promise<void> {
  const known = await readStamps(stampPath);
  const found: Stamps = {};
  let isChanged = false;
  for (const file of files) {
    const path = join(directory, file.name);
    const stamp = await stampOf(path, file);
    if (known[path] !== stamp) {
      await verifyFile(path, file);
      isChanged = true;
    }
    found[path] = stamp;
  }
  if (isChanged) await writeStamps(stampPath, found);
}

async function verifyFile(path: string, file: GuestFile): Promise<void> {
  const sha256 = await sha256OfFile(path);
  if (sha256 !== file.sha256) {
    throw mismatch(path, `its SHA-256 is ${sha256}, and the manifest says ${file.sha256}`);
  }
}

async function stampOf(path: string, file: GuestFile): Promise<string> {
  const status = await stat(path, { bigint: true }).catch(() => undefined);
  if (status === undefined) throw mismatch(path, "it is not there");
  const { dev, ino, size, mtimeNs, ctimeNs } = status;
  if (size !== BigInt(file.sizeBytes)) {
    throw mismatch(path, `it has ${size} bytes, and the manifest says ${file.sizeBytes}`);
  }
  return [file.sha256, dev, ino, size, mtimeNs, ctimeNs].join(":");
}

/** No stamps, or unreadable ones, only mean that the files are hashed again. */
async function readStamps(path: string): Promise<Stamps> {
  try {
    return v.parse(StampsSchema, JSON.parse(await readFile(path, "utf8")));
  } catch {
    return {};
  }
}

async function writeStamps(path: string, stamps: Stamps): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o711 });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, JSON.stringify(stamps), { mode: 0o600 });
  await rename(temporary, path);
}

function mismatch(path: string, why: string): MukonError {
  return new MukonError("GUEST_HASH_MISMATCH", `${path} is not what was built: ${why}.`, {
    hint: "Find out who changed it, then run: mukon guest build",
  });
}
