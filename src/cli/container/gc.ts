// SPDX-License-Identifier: Apache-2.0
import { readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { loadConfiguration, loadedDefaults } from "../../config/load.ts";
import { directoryNames } from "../../linux/directory-names.ts";
import { isSameProcess } from "../../linux/process-status.ts";
import { deleteShim } from "../shim/program.ts";
import { leaveNetwork } from "./network.ts";
import { bundlePaths, namesDirectory } from "./paths.ts";
import { type ContainerRecord, readRecord, writeExit } from "./record.ts";
import { removeBundleAndShim } from "./remove.ts";
import { collectScratchDisks, scratchDirectory } from "./scratch.ts";
import { containerState } from "./state.ts";
import { containerIds } from "./store.ts";

/** Younger ones may be on their way: between making its bundle and its shim, a run takes a moment. */
const MINIMUM_AGE_MS = 10_000;
/** 128 + SIGKILL. */
const KILLED = 137;

/**
 * Cleans up after `mukon run`s that were killed: pods that nobody will start, containers whose output
 * nobody reads, bundles of `--rm` containers that have ended, damaged bundles. Returns what was done,
 * for people.
 */
export async function collectBundles(now = Date.now()): Promise<string[]> {
  const removed: string[] = [];
  for (const id of containerIds()) {
    if (isYoung(bundlePaths(id).directory, now)) continue;
    const fate = await fateOf(id);
    if (fate === "keep") continue;
    if (fate === "settle") {
      await leaveNetwork(id);
      continue;
    }
    if (fate === "end") await endAndKeepRecord(id);
    else await removeBundleAndShim(id, undefined);
    removed.push(`${fate === "end" ? "pod of container" : "bundle"} ${id}`);
  }
  const disks = collectScratchDisks(await scratchDirectoryHere(), containerIds());
  return [...removed, ...dropOrphanNames(now), ...disks.map((path) => `scratch disk ${path}`)];
}

/** A configuration that cannot be read must not keep the rest from being cleaned up. */
async function scratchDirectoryHere(): Promise<string> {
  const loaded = await loadConfiguration().catch(() => loadedDefaults());
  return scratchDirectory(loaded.configuration.mukon.scratchDirectory);
}

/** `end`: the pod goes, and the record stays, since `--rm` was not given; `settle`: it has gone. */
async function fateOf(id: string): Promise<"keep" | "settle" | "end" | "remove"> {
  let record: ContainerRecord;
  try {
    record = readRecord(id);
  } catch {
    return "remove";
  }
  const { pid, startTime } = record.client;
  if (isSameProcess(pid, BigInt(startTime))) return "keep";
  const { status } = await containerState(id);
  if (status === "exited") return record.removeAtExit ? "remove" : "settle";
  if (status === "running" || status === "paused") {
    if (record.detached) return "keep";
    return record.removeAtExit ? "remove" : "end";
  }
  return "remove";
}

async function endAndKeepRecord(id: string): Promise<void> {
  await deleteShim(id);
  await leaveNetwork(id);
  writeExit(id, { status: KILLED, at: new Date().toISOString() });
}

function dropOrphanNames(now: number): string[] {
  const ids = new Set(containerIds());
  const removed: string[] = [];
  for (const name of directoryNames(namesDirectory())) {
    const file = join(namesDirectory(), name);
    if (isYoung(file, now)) continue;
    if (isOwned(file, ids)) continue;
    rmSync(file, { force: true });
    removed.push(`name ${name}`);
  }
  return removed;
}

function isOwned(file: string, ids: ReadonlySet<string>): boolean {
  try {
    return ids.has(readFileSync(file, "utf8"));
  } catch {
    return false;
  }
}

function isYoung(path: string, now: number): boolean {
  try {
    return now - statSync(path).mtimeMs < MINIMUM_AGE_MS;
  } catch {
    return true;
  }
}
