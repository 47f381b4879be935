// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
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
import { MukonError } from "../../errors/mukon-error.ts";
import { writeFileAtomic } from "../../linux/atomic-file.ts";
import { templatesDirectory } from "../../linux/paths.ts";
import { sha256OfExtents } from "../../linux/sparse-file.ts";
import {
  MANIFEST_NAME,
  MEMORY_NAME,
  parseManifest,
  type SavedFile,
  STATE_NAME,
  stampOf,
  type TemplateManifest,
} from "./manifest.ts";

/** What stat(2) counts in. */
const BLOCK_BYTES = 512;
const KEY = /^[0-9a-f]{32}$/;
/** Names of what is on its way in or out; nobody looks at it. */
const TEMPORARY = /^\.(new|old)-/;

/** Nobody opens it twice: QEMU reads the descriptor that it was given. */
const STATE_MODE = 0o400;
/**
 * Whoever has this one may open it again for reading, through /proc/self/fd, as QEMU does to map it.
 * By its name only root gets there.
 */
const MEMORY_MODE = 0o444;

/** A template whose files are open for reading; the descriptors are the caller's to close. */
export interface OpenTemplate {
  key: string;
  manifest: TemplateManifest;
  state: number;
  memory: number;
}

/** A template that is being made, where nobody looks for one. */
export interface TemplateDraft {
  directory: string;
  /** Empty files, writable; the caller's to close. */
  state: number;
  memory: number;
}

/** Everything that is open of it. */
export function openedBy({ state, memory }: Pick<OpenTemplate, "state" | "memory">): number[] {
  return [state, memory];
}

/**
 * Opens a template. Undefined: there is none.
 * @throws TEMPLATE_DAMAGED when it is not what was put there
 */
export function openTemplate(key: string): OpenTemplate | undefined {
  const directory = directoryOf(key);
  const opened: number[] = [];
  try {
    const [state = -1, memory = -1] = [STATE_NAME, MEMORY_NAME].map((name) => {
      opened.push(openForReading(join(directory, name)));
      return opened.at(-1);
    });
    const manifest = parseManifest(readFileSync(join(directory, MANIFEST_NAME), "utf8"));
    if (manifest.key !== key) throw new Error("its manifest is another one's");
    checkUntouched(state, "state", manifest.state);
    checkUntouched(memory, "memory", manifest.memory);
    return { key, manifest, state, memory };
  } catch (error) {
    for (const descriptor of opened) closeSync(descriptor);
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (isMissing && opened.length === 0 && !existsSync(directory)) return undefined;
    throw damaged(key, error);
  }
}

function openForReading(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

function checkUntouched(descriptor: number, name: string, saved: SavedFile): void {
  const status = fstatSync(descriptor, { bigint: true });
  if (status.isFile() && stampOf(status) === saved.stamp) return;
  throw new Error(`its ${name} was touched since it was made`);
}

/** What a template is; undefined when there is none. @throws TEMPLATE_DAMAGED */
export function readTemplate(key: string): TemplateManifest | undefined {
  const template = openTemplate(key);
  if (template !== undefined) openedBy(template).forEach(closeSync);
  return template?.manifest;
}

/** @throws TEMPLATE_DAMAGED unless every byte of it is as it was when it was made */
export async function verifyTemplate(key: string): Promise<void> {
  const template = openTemplate(key);
  if (template === undefined) return;
  try {
    for (const name of ["state", "memory"] as const) {
      if ((await sha256OfExtents(template[name])) === template.manifest[name].sha256) continue;
      throw damaged(key, new Error(`the hash of its ${name} is wrong`));
    }
  } finally {
    openedBy(template).forEach(closeSync);
  }
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
  const create = (name: string): number =>
    openSync(join(directory, name), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  return { directory, state: create(STATE_NAME), memory: create(MEMORY_NAME) };
}

/** Gives a finished template its name, at once and whole. Nobody may be able to write to it any more. */
export async function publishTemplate(
  draft: TemplateDraft,
  facts: Omit<TemplateManifest, "state" | "memory">,
): Promise<TemplateManifest> {
  const manifest: TemplateManifest = {
    ...facts,
    state: await finish(draft.state, STATE_MODE),
    memory: await finish(draft.memory, MEMORY_MODE),
  };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  writeFileAtomic(join(draft.directory, MANIFEST_NAME), text, { mode: 0o400 });
  removeTemplate(facts.key);
  renameSync(draft.directory, directoryOf(facts.key));
  return manifest;
}

async function finish(descriptor: number, mode: number): Promise<SavedFile> {
  fsyncSync(descriptor);
  fchmodSync(descriptor, mode);
  const sha256 = await sha256OfExtents(descriptor);
  const status = fstatSync(descriptor, { bigint: true });
  const usedBytes = Number(status.blocks) * BLOCK_BYTES;
  return { sha256, sizeBytes: Number(status.size), usedBytes, stamp: stampOf(status) };
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
