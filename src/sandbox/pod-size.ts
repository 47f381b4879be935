// SPDX-License-Identifier: Apache-2.0
import { availableParallelism } from "node:os";
import { podSize } from "../config/annotations/sizing.ts";
import type { LoadedConfiguration } from "../config/origin.ts";
import { MOST_VCPUS } from "../vmm/qemu/launch-input.ts";
import { mostMemoryMib, podMemory } from "./pod-memory.ts";

/** What a pod gets once its guest runs, beyond what its machine begins with. */
export interface Growth {
  memoryMib: number;
  vcpus: number;
}

/** How many processors a machine can have: the same for all pods of a configuration. */
export function mostVcpus(configured: number): number {
  return Math.min(configured === 0 ? availableParallelism() : configured, MOST_VCPUS);
}

/**
 * Divides a pod's processors, so that pods of different sizes can begin from one template. A pod that
 * has fewer than the configuration's, or more than their machine can have, begins with what it has.
 */
export function podVcpus(options: {
  /** Of the configuration's files. */
  configured: number;
  /** Of this pod. */
  wanted: number;
  /** See {@link mostVcpus}. */
  most: number;
}): { base: number; extra: number } {
  const { configured, wanted, most } = options;
  const isDivided = wanted > configured && wanted <= most;
  return isDivided ? { base: configured, extra: wanted - configured } : { base: wanted, extra: 0 };
}

/**
 * The configuration of a pod with the size that its machine begins with in `defaultMemory` and
 * `defaultVcpus`, and what it is to grow by. `loaded` is that of the files alone, `applied` has the pod's
 * own size. What a machine can grow to is the files' too, whatever the pod says: it is part of the machine.
 */
export function divideSize(
  loaded: LoadedConfiguration,
  applied: LoadedConfiguration,
): { applied: LoadedConfiguration; growth: Growth } {
  const { hypervisor } = applied.configuration;
  const files = loaded.configuration.hypervisor.qemu;
  const configured = podSize(files, {}, {});
  const wantedMib = hypervisor.qemu.defaultMemory;
  // Memory of huge pages is all of the same kind when the machine has it from the start.
  const { baseMib, extraMib } = hypervisor.qemu.enableHugepages
    ? { baseMib: wantedMib, extraMib: 0 }
    : podMemory({ configuredMib: configured.memoryMib, wantedMib, mostMib: mostMemoryMib() });
  const { base, extra } = podVcpus({
    configured: configured.vcpus,
    wanted: hypervisor.qemu.defaultVcpus,
    most: mostVcpus(files.defaultMaxvcpus),
  });
  const size = {
    defaultMemory: baseMib,
    defaultVcpus: base,
    defaultMaxvcpus: files.defaultMaxvcpus,
  };
  const qemu = { ...hypervisor.qemu, ...size };
  const configuration = { ...applied.configuration, hypervisor: { ...hypervisor, qemu } };
  return {
    applied: { ...applied, configuration },
    growth: { memoryMib: extraMib, vcpus: extra },
  };
}
