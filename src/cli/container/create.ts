// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { lookUpUser } from "../../images/accounts.ts";
import { resolveImage, rootfsFromDirectory } from "../../images/resolve.ts";
import type { ImageConfiguration, ResolvedImage } from "../../images/types.ts";
import { readStartTime } from "../../linux/process-status.ts";
import type { RunOptions } from "../commands/run-options.ts";
import { interruptible } from "../io/interruptible.ts";
import { printNote } from "../output/print.ts";
import { containerEnvironment } from "./environment.ts";
import { newContainerId } from "./identifier.ts";
import { joinNetwork, leaveNetwork } from "./network.ts";
import { bundlePaths } from "./paths.ts";
import { type ContainerRecord, writeRecord } from "./record.ts";
import { makeScratchDisk } from "./scratch.ts";
import { makeSpec } from "./spec.ts";
import { claimName, createBundleDirectory, removeBundle } from "./store.ts";

export interface CreateInput {
  image: string;
  command: string[];
  options: RunOptions;
  terminal: boolean;
  /** Where its scratch disk goes, if it has one. */
  scratchDirectory: string;
}

/** A bundle on disk, and what the shim must be told beside it. */
export interface CreatedBundle {
  record: ContainerRecord;
  /** Root file system, bottom layer first, as the Task API's Mounts. */
  mounts: BundleMount[];
}

export interface BundleMount {
  type: string;
  source: string;
  options: string[];
}

/**
 * Resolves the image and writes the bundle; on failure nothing stays behind.
 * @param begin called before the first thing is made that a signal must not leave behind
 */
export async function createBundle(
  input: CreateInput,
  begin: (id: string) => void,
): Promise<CreatedBundle> {
  const { options } = input;
  const image = await rootFileSystem(input);
  const command = commandOf(input, image.config);
  const id = newContainerId();
  begin(id);
  createBundleDirectory(id);
  let name: string | undefined;
  try {
    name = claimName(id, options.name);
    const hostname = options.hostname ?? id;
    const network = await joinNetwork(id, hostname, options);
    const spec = makeSpec({
      id,
      command,
      environment: containerEnvironment({
        image: image.config.env,
        files: options.environmentFiles,
        options: options.environment,
        terminal: input.terminal,
      }),
      workingDirectory: options.workingDirectory ?? image.config.workingDir,
      user: lookUpUser(image.accounts, options.user ?? image.config.user),
      hostname,
      networkNamespace: network.namespace,
      terminal: input.terminal,
      readOnly: options.readOnly,
      annotations: options.annotations,
      mounts: [...network.mounts, ...options.mounts],
      memoryBytes: options.memoryBytes,
      cpus: options.cpus,
      pidsLimit: options.pidsLimit,
    });
    writeFileSync(bundlePaths(id).config, JSON.stringify(spec), { mode: 0o600 });
    writeFileSync(bundlePaths(id).accounts, JSON.stringify(image.accounts), { mode: 0o600 });
    writeFileSync(bundlePaths(id).output, "", { mode: 0o600 });
    const mounts = await rootMounts(id, image, input);
    const record = recordOf({ id, name, command, image }, input);
    writeRecord(record);
    return { record, mounts };
  } catch (error) {
    // What cannot be given back now stays in the bundle, for mukon gc.
    await leaveNetwork(id).then(
      () => removeBundle(id, name),
      () => {},
    );
    throw error;
  }
}

async function rootFileSystem(input: CreateInput): Promise<ResolvedImage> {
  const { rootfs, pull } = input.options;
  return interruptible((signal) =>
    rootfs === undefined
      ? resolveImage(input.image, { pull, log: printNote, signal })
      : rootfsFromDirectory(rootfs, { log: printNote, signal }),
  );
}

/** Docker's rule: a given command replaces the image's; an entrypoint drops the image's command. */
function commandOf(input: CreateInput, config: ImageConfiguration): string[] {
  const { entrypoint } = input.options;
  const given = input.command.length > 0;
  const command =
    entrypoint === undefined
      ? [...config.entrypoint, ...(given ? input.command : config.cmd)]
      : [...(entrypoint === "" ? [] : [entrypoint]), ...input.command];
  if (command.length > 0) return command;
  throw new MukonError("NO_COMMAND", "nothing says what to run in the container", {
    hint: "name a command after the image: mukon run IMAGE COMMAND…",
  });
}

async function rootMounts(
  id: string,
  image: ResolvedImage,
  input: CreateInput,
): Promise<BundleMount[]> {
  const { options } = input;
  const mounts = image.layers.map((source) => ({ type: "erofs", source, options: ["ro"] }));
  if (options.scratchBytes === undefined || options.readOnly) return mounts;
  const scratch = await makeScratchDisk(id, options.scratchBytes, input.scratchDirectory);
  return [...mounts, { type: "ext4", source: scratch, options: ["rw"] }];
}

interface RecordParts {
  id: string;
  name: string;
  command: string[];
  image: ResolvedImage;
}

function recordOf(parts: RecordParts, input: CreateInput): ContainerRecord {
  const { image } = parts;
  return {
    id: parts.id,
    name: parts.name,
    image: input.options.rootfs ?? input.image,
    digest: image.digest,
    command: parts.command,
    createdAt: new Date().toISOString(),
    terminal: input.terminal,
    detached: input.options.detach,
    removeAtExit: input.options.removeAtExit,
    stopSignal: image.config.stopSignal,
    client: { pid: process.pid, startTime: Number(readStartTime(process.pid) ?? 0n) },
  };
}
