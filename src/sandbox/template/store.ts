// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { sha256OfFile } from "../../../guest/image/hashes.ts";
import { MukonError } from "../../errors/mukon-error.ts";
import { writeFileAtomic } from "../../linux/atomic-file.ts";
import { templatesDirectory } from "../../linux/paths.ts";
import {
  MANIFEST_NAME,
  parseManifest,
  STATE_NAME,
  stampOf,
  type TemplateManifest,
} from "./manifest.ts";

const KEY = /^[0-9a-f]{32}$/;
/** Names of what is on its way in or out; nobody looks at it. */
const TEMPORARY = /^\.(new|old)-/;

/** A template whose state is open for reading. */
export interface OpenTemplate {
  key: string;
  manifest: TemplateManifest;
  /** Read-only; the caller's to close. */
  descriptor: number;
}

/** A template that is being made, where nobody looks for one. */
export interface TemplateDraft {
  directory: string;
  /** Empty, writable; the caller's to close. */
  descriptor: number;
}

/**
 * Opens a template. Undefined: there is none.
 * @throws TEMPLATE_DAMAGED when it is not what was put there
 */
export function openTemplate(key: string): OpenTemplate | undefined {
  const directory = directoryOf(key);
  let descriptor: number | undefined;
  try {
    const path = join(directory, STATE_NAME);
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const manifest = parseManifest(readFileSync(join(directory, MANIFEST_NAME), "utf8"));
    const status = fstatSync(descriptor, { bigint: true });
    if (manifest.key !== key) throw new Error("its manifest is another one's");
    if (!status.isFile() || stampOf(status) !== manifest.state.stamp) {
      throw new Error("its state was touched since it was made");
    }
    return { key, manifest, descriptor };
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    else if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw damaged(key, error);
  }
}

/** What a template is; undefined when there is none. @throws TEMPLATE_DAMAGED */
export function readTemplate(key: string): TemplateManifest | undefined {
  const template = openTemplate(key);
  if (template !== undefined) closeSync(template.descriptor);
  return template?.manifest;
}

/** @throws TEMPLATE_DAMAGED unless every byte of it is as it was when it was made */
export async function verifyTemplate(key: string): Promise<void> {
  const manifest = readTemplate(key);
  if (manifest === undefined) return;
  const sha256 = await sha256OfFile(join(directoryOf(key), STATE_NAME));
  if (sha256 !== manifest.state.sha256) throw damaged(key, new Error("its hash is wrong"));
}

/** Takes note that a template is of use; those that are not are the first to go. */
export function touchTemplate(key: string): void {
  const now = new Date();
  try {
    utimesSync(directoryOf(key), now, now);
  } catch {
    // Removed meanwhile, or on a file system that is full: nothing depends on it.
  }
}

/** Makes room for a new template. Call it, and what follows, with {@link templateLock} held. */
export function beginTemplate(): TemplateDraft {
  const root = ensureTemplatesDirectory();
  for (const name of readdirSync(root).filter((each) => TEMPORARY.test(each))) {
    rmSync(join(root, name), { recursive: true, force: true });
  }
  const directory = join(root, `.new-${randomBytes(8).toString("hex")}`);
  mkdirSync(directory, { mode: 0o700 });
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  return { directory, descriptor: openSync(join(directory, STATE_NAME), flags, 0o600) };
}

/** Gives a finished template its name, at once and whole. Nobody may be able to write to it any more. */
export async function publishTemplate(
  draft: TemplateDraft,
  facts: Omit<TemplateManifest, "state">,
): Promise<TemplateManifest> {
  const path = join(draft.directory, STATE_NAME);
  fsyncSync(draft.descriptor);
  // Whoever has it open for reading cannot open it again, not even for reading.
  chmodSync(path, 0o400);
  const sha256 = await sha256OfFile(path);
  const status = fstatSync(draft.descriptor, { bigint: true });
  const state = { sha256, sizeBytes: Number(status.size), stamp: stampOf(status) };
  const manifest: TemplateManifest = { ...facts, state };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  writeFileAtomic(join(draft.directory, MANIFEST_NAME), text, { mode: 0o400 });
  removeTemplate(facts.key);
  renameSync(draft.directory, directoryOf(facts.key));
  return manifest;
}

export function discardDraft(draft: TemplateDraft): void {
  rmSync(draft.directory, { recursive: true, force: true });
}

/** False: there was none. Clones that run are not concerned. */
export function removeTemplate(key: string): boolean {
  const old = join(templatesDirectory(), `.old-${randomBytes(8).toString("hex")}`);
  try {
    renameSync(directoryOf(key), old);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  rmSync(old, { recursive: true, force: true });
  return true;
}

/** Keys of all templates, those that were of use last first. */
export function listTemplates(): string[] {
  try {
    const usedAtMs = (key: string): number =>
      statSync(directoryOf(key), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    return readdirSync(templatesDirectory())
      .filter((name) => KEY.test(name))
      .sort((a, b) => usedAtMs(b) - usedAtMs(a));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** The file whose lock whoever makes a template holds: one at a time. */
export function templateLock(): string {
  return join(ensureTemplatesDirectory(), ".lock");
}

export function directoryOf(key: string): string {
  if (KEY.test(key)) return join(templatesDirectory(), key);
  throw new MukonError("TEMPLATE_UNKNOWN", `${JSON.stringify(key)} names no template.`, {
    hint: "See them all: mukon guest template ls",
  });
}

function ensureTemplatesDirectory(): string {
  const root = templatesDirectory();
  mkdirSync(root, { recursive: true, mode: 0o700 });
  return root;
}

function damaged(key: string, cause: unknown): MukonError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MukonError("TEMPLATE_DAMAGED", `The template ${key} cannot be used: ${why}.`, {
    hint: "Make it again: mukon guest template build",
    cause,
  });
}
