// SPDX-License-Identifier: Apache-2.0

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { hashOfData } from "../../guest/image/hashes.ts";
import { withLock } from "../../src/linux/lock.ts";
import { run } from "../../src/linux/run.ts";
import { saveMachineState } from "../../src/vmm/qemu/machine-state.ts";
import { TestHostError } from "./error.ts";
import { imageKey } from "./image-key.ts";
import { type MachinePaths, machineArguments } from "./machine.ts";
import { cacheDirectory, IMAGE_FILES, SNAPSHOT_FILES } from "./names.ts";
import { killEmulator, qemuVersion, startEmulator, waitUntilReady } from "./qemu.ts";
import { sharedDiskPaths, writeBlankDisks } from "./shared-disks.ts";

const BOOT_TIMEOUT_MS = 10 * 60_000;
const SAVE_TIMEOUT_MS = 5 * 60_000;
const LOCK_TIMEOUT_MS = 30 * 60_000;
const KEY_LENGTH = 16;

/** A host that is ready to be resumed. */
export interface BuiltHost {
  imagePath: string;
  snapshotPath: string;
}

/** Makes image and snapshot unless they are there; seconds when they are, minutes otherwise. */
export async function buildHost(log: (line: string) => void): Promise<BuiltHost> {
  const cache = cacheDirectory();
  // Passable, as apt's unprivileged half must reach its own folder; all else in it is root's.
  await mkdir(cache, { recursive: true, mode: 0o711 });
  return withLock(
    join(cache, ".build-lock"),
    async () => {
      await removeLeftovers();
      const imagePath = await ensureImage(log);
      return { imagePath, snapshotPath: await ensureSnapshot(imagePath, log) };
    },
    { timeoutMs: LOCK_TIMEOUT_MS },
  );
}

async function ensureImage(log: (line: string) => void): Promise<string> {
  const path = join(cacheDirectory(), "images", imageKey());
  if (existsSync(path)) return path;
  log("Building the test host (once for each change of its recipe; some minutes)");
  const stage = await newStage();
  await makeImageApart(stage);
  await publish(stage, path);
  return path;
}

/** In namespaces that end with this process, and all of the packages' scripts with them. */
async function makeImageApart(stage: string): Promise<void> {
  const packages = join(cacheDirectory(), "packages");
  await mkdir(packages, { recursive: true });
  const argv = [
    ...["--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--ipc", "--uts", "--fork"],
    ...["--kill-child", "--mount-proc", "--propagation", "private", "--"],
    ...[process.execPath, "--import", "tsx", join(import.meta.dirname, "make-image.ts")],
    ...[stage, packages],
  ];
  const child = spawn("setpriv", argv, { stdio: ["ignore", "inherit", "inherit"] });
  const code = await new Promise((done) => {
    child.once("error", done);
    child.once("exit", done);
  });
  if (code !== 0) throw new TestHostError("the test host could not be built (see above)");
}

async function ensureSnapshot(imagePath: string, log: (line: string) => void): Promise<string> {
  const path = join(cacheDirectory(), "snapshots", await snapshotKey());
  if (existsSync(path)) return path;
  log("Booting the test host once, to keep it as a snapshot");
  const stage = await newStage();
  await takeSnapshot(imagePath, stage);
  await publish(stage, path);
  return path;
}

/** What a saved state depends on: the image, QEMU, and every device. */
async function snapshotKey(): Promise<string> {
  const paths = machinePaths({ imagePath: "", diskPath: "", runPath: "", isDiskWritten: false });
  const facts = [imageKey(), await qemuVersion(), machineArguments(paths)];
  return hashOfData(facts).slice(0, KEY_LENGTH);
}

export function machinePaths(given: {
  imagePath: string;
  diskPath: string;
  runPath: string;
  isDiskWritten: boolean;
}): MachinePaths {
  return {
    kernel: join(given.imagePath, IMAGE_FILES.kernel),
    initrd: join(given.imagePath, IMAGE_FILES.initrd),
    disk: given.diskPath,
    isDiskWritten: given.isDiskWritten,
    ...sharedDiskPaths(given.runPath),
    console: join(given.runPath, "console"),
    qmpSocket: join(given.runPath, "qmp.sock"),
  };
}

async function takeSnapshot(imagePath: string, stage: string): Promise<void> {
  const diskPath = join(stage, SNAPSHOT_FILES.disk);
  const runPath = join(stage, "run");
  await mkdir(runPath);
  // Most of the disk is a hole, which copyFile would fill.
  const copy = ["cp", "--sparse=always", "--reflink=auto"];
  await run([...copy, join(imagePath, IMAGE_FILES.disk), diskPath]);
  const paths = machinePaths({ imagePath, diskPath, runPath, isDiskWritten: true });
  await writeBlankDisks(sharedDiskPaths(runPath));
  const emulator = await startEmulator({ paths, runPath, endsWithCaller: true });
  try {
    await waitUntilReady(emulator, BOOT_TIMEOUT_MS);
    const state = await open(join(stage, SNAPSHOT_FILES.state), "w", 0o600);
    try {
      await saveMachineState(emulator.qmp, { descriptor: state.fd, timeoutMs: SAVE_TIMEOUT_MS });
    } finally {
      await state.close();
    }
    emulator.qmp.close();
  } finally {
    await killEmulator(emulator.handle);
  }
  await rm(runPath, { recursive: true });
}

async function newStage(): Promise<string> {
  const stage = join(cacheDirectory(), `.stage-${process.pid}`);
  await rm(stage, { recursive: true, force: true });
  await mkdir(stage);
  return stage;
}

/** Whole or not at all; those of former recipes go. */
async function publish(stage: string, path: string): Promise<void> {
  const directory = join(path, "..");
  await mkdir(directory, { recursive: true });
  await chmod(stage, 0o700);
  for (const name of await readdir(directory)) {
    await rm(join(directory, name), { recursive: true, force: true });
  }
  await rename(stage, path);
}

/** The lock is held: whoever made these is dead. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(cacheDirectory())) {
    if (!name.startsWith(".stage-")) continue;
    await rm(join(cacheDirectory(), name), { recursive: true, force: true });
  }
}
