// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AgentError, Status } from "../errors.ts";
import { loadModules, modulesFor } from "../native/kernel-modules.ts";
import { findPciDevice, waitForBlockDevice } from "./pci.ts";

const POLL_MS = 10;
const TIMEOUT_MS = 20_000;
/** First byte of a PCI class (pci_ids.h): mass storage. */
const STORAGE = /^0x01/;

/**
 * Waits until a driver of this guest's has a device that was plugged in just now.
 * @returns the node of its disk, where it is one
 */
export async function driveHostDevice(pciPath: string): Promise<string | undefined> {
  const directory = await waitUntil(`no device appeared at PCI path ${pciPath}`, () =>
    findPciDevice(pciPath),
  );
  const read = (name: string): string => readFileSync(join(directory, name), "utf8").trim();
  await loadModules(modulesFor(read("modalias")));
  await waitUntil(`this guest has no driver for ${read("vendor")}:${read("device")}`, () =>
    existsSync(join(directory, "driver")) ? directory : undefined,
  );
  return STORAGE.test(read("class")) ? await waitForBlockDevice(pciPath) : undefined;
}

async function waitUntil(complaint: string, look: () => string | undefined): Promise<string> {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) {
      throw new AgentError(Status.notFound, `${complaint} within ${TIMEOUT_MS / 1000} s`);
    }
    await delay(POLL_MS);
  }
}
