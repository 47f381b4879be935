// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NodeNumbers } from "../../linux/device-node.ts";
import { enforceDeviceProgram } from "./device-program.ts";
import type { CgroupHierarchy } from "./hierarchies.ts";

/** /dev/null and /dev/urandom: what every jail has. All else comes as a descriptor, open already. */
export const JAIL_DEVICES: readonly NodeNumbers[] = [
  { major: 1, minor: 3 },
  { major: 1, minor: 9 },
];

/**
 * The devices that the processes of a cgroup can open, whatever nodes they get at: a wall behind that of
 * the jail, which has no other nodes.
 */
export class DeviceRules {
  readonly #directory: string;
  readonly #version: 1 | 2;
  readonly #extra = new Map<string, readonly NodeNumbers[]>();
  #allowed: readonly NodeNumbers[] = [];
  #program: number | undefined;

  private constructor(directory: string, version: 1 | 2) {
    this.#directory = directory;
    this.#version = version;
  }

  /** For a cgroup without children. Undefined: this hierarchy has no such rules. @throws the system's error */
  static enforce(hierarchy: CgroupHierarchy, directory: string): DeviceRules | undefined {
    const { version, isDevices } = hierarchy;
    if (version === 1 && !isDevices) return undefined;
    const rules = new DeviceRules(directory, version);
    if (version === 1) rules.#write("deny", "a");
    rules.#apply();
    return rules;
  }

  /** Lets these be opened too, in place of those allowed for the same purpose before. */
  allow(purpose: string, nodes: readonly NodeNumbers[]): void {
    this.#extra.set(purpose, nodes);
    this.#apply();
  }

  #apply(): void {
    const allowed = [...JAIL_DEVICES, ...[...this.#extra.values()].flat()];
    if (this.#version === 2) {
      this.#program = enforceDeviceProgram(this.#directory, { allowed, earlier: this.#program });
    } else {
      for (const node of without(this.#allowed, allowed)) this.#write("deny", lineOf(node));
      for (const node of without(allowed, this.#allowed)) this.#write("allow", lineOf(node));
    }
    this.#allowed = allowed;
  }

  #write(verb: "allow" | "deny", line: string): void {
    writeFileSync(join(this.#directory, `devices.${verb}`), line);
  }
}

function without(nodes: readonly NodeNumbers[], others: readonly NodeNumbers[]): NodeNumbers[] {
  return nodes.filter((node) => !others.some((other) => lineOf(other) === lineOf(node)));
}

/** As the kernel has it: "Device Whitelist Controller". */
function lineOf({ major, minor }: NodeNumbers): string {
  return `c ${major}:${minor} rw`;
}
