// SPDX-License-Identifier: Apache-2.0
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AgentError, Status } from "../errors.ts";
import { loadModules } from "../native/kernel-modules.ts";
import { isBlockDevice } from "./pci.ts";

const HOSTS = "/sys/class/scsi_host";
const DEVICES = "/sys/bus/scsi/devices";
const MODULES = ["virtio_scsi", "sd_mod"];
const POLL_MS = 10;
const SCAN_EVERY_MS = 200;
const TIMEOUT_MS = 20_000;
const ADDRESS = /^(\d{1,3}):(\d{1,5})$/;

/** A disk by target and unit, such as "0:1". */
export function isScsiAddress(source: string): boolean {
  return ADDRESS.test(source);
}

/** Name of the block device (`sdb`) at an address, on whichever host; it may not be there yet. */
export function scsiBlockName(address: string, devices = DEVICES): string | undefined {
  const name = list(devices).find((one) => /^\d+:0:/.test(one) && one.endsWith(`:0:${address}`));
  return name === undefined ? undefined : list(join(devices, name, "block"))[0];
}

/** Waits for the disk at an address; it, or its controller, may have been plugged in just now. */
export async function waitForScsiDevice(address: string): Promise<string> {
  // Only guests with such disks have a use for them.
  await loadModules(MODULES);
  const [, target, unit] = ADDRESS.exec(address) ?? [];
  const start = Date.now();
  for (let scannedMs = -SCAN_EVERY_MS; ; ) {
    const name = scsiBlockName(address);
    if (name !== undefined && isBlockDevice(`/dev/${name}`)) return `/dev/${name}`;
    const waitedMs = Date.now() - start;
    if (waitedMs > TIMEOUT_MS) {
      throw new AgentError(
        Status.notFound,
        `no disk appeared at SCSI address ${address} within ${TIMEOUT_MS / 1000} s`,
      );
    }
    if (waitedMs - scannedMs >= SCAN_EVERY_MS) {
      scannedMs = waitedMs;
      // The event of a new disk is lost where its controller is as new.
      for (const host of list(HOSTS))
        writeFileSync(join(HOSTS, host, "scan"), `0 ${target} ${unit}`);
    }
    await delay(POLL_MS);
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
