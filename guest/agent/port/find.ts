// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const PORT_NAME = "mukon.agent";
const PORTS_DIRECTORY = "/sys/class/virtio-ports";

/** Device node of the virtio-serial port of this name; without udev, sysfs alone knows it. */
export function findPort(name: string, directory = PORTS_DIRECTORY): string | undefined {
  const entry = listEntries(directory).find((port) => nameOf(join(directory, port)) === name);
  return entry === undefined ? undefined : `/dev/${entry}`;
}

function listEntries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function nameOf(port: string): string | undefined {
  try {
    return readFileSync(join(port, "name"), "utf8").trim();
  } catch {
    return undefined;
  }
}
