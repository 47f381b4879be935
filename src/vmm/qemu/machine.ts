// SPDX-License-Identifier: Apache-2.0
import type { Accelerator } from "./launch-input.ts";

/** Translated code kept by the emulator; more costs memory of each VM and wins no time. */
const TRANSLATION_CACHE_MIB = 64;

/** No parts of a PC that a container's guest has no use for: less to boot, less to attack. */
const Q35 =
  "q35,sata=off,usb=off,smbus=off,vmport=off,i8042=off,graphics=off,dump-guest-core=off,mem-merge=off";

/** QEMU's name of the object that is the guest's memory. */
export const MEMORY_ID = "ram";

export interface MachineOptions {
  accelerator: Accelerator;
  /** Where QEMU opens KVM; default: /dev/kvm. */
  kvmDevice?: string | undefined;
  /** Memory is an object of its own, {@link MEMORY_ID}; otherwise it is QEMU's to make. */
  hasMemoryObject?: boolean;
  /** Further options of the machine, as a comma-separated list. */
  machineAccelerators?: string;
  cpuFeatures?: string;
}

/** Machine, accelerator and processor. */
export function machineArguments(options: MachineOptions): string[] {
  const isKvm = options.accelerator === "kvm";
  const irqchip = isKvm ? ",kernel_irqchip=split" : "";
  const memory = options.hasMemoryObject === true ? `,memory-backend=${MEMORY_ID}` : "";
  const machine = join(`${Q35}${irqchip}${memory}`, options.machineAccelerators ?? "");
  const accelerator = isKvm
    ? kvmArgument(options.kvmDevice)
    : `tcg,thread=multi,tb-size=${TRANSLATION_CACHE_MIB}`;
  const cpu = join(isKvm ? "host,pmu=off" : "max,pmu=off", options.cpuFeatures ?? "");
  return ["-machine", machine, "-accel", accelerator, "-cpu", cpu];
}

function kvmArgument(device: string | undefined): string {
  return device === undefined ? "kvm" : `kvm,device=${device}`;
}

/**
 * QEMU without devices of its own, without files of the host's, and under its seccomp filter:
 * nothing obsolete, no new privileges, no new processes, no scheduling calls.
 */
export const CONFINED_ARGUMENTS: readonly string[] = [
  "-nodefaults",
  "-no-user-config",
  "-display",
  "none",
  "-vga",
  "none",
  "-no-reboot",
  "-sandbox",
  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

function join(first: string, rest: string): string {
  return rest === "" ? first : `${first},${rest}`;
}
