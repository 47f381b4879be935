// SPDX-License-Identifier: Apache-2.0
import { availableParallelism, totalmem } from "node:os";
import { MukonError } from "../../errors/mukon-error.ts";
import { describeValue } from "../describe-value.ts";
import type { Configuration } from "../keys/registry.ts";
import { podTypeOf } from "./pod-type.ts";

/** Limits of a container, as in its OCI spec's `linux.resources`. */
export interface OciSizing {
  /** memory.limit */
  readonly memoryLimitBytes?: number | bigint | undefined;
  /** cpu.quota in microseconds per period; -1 is no limit. */
  readonly cpuQuota?: number | bigint | undefined;
  /** cpu.period in microseconds. */
  readonly cpuPeriod?: number | bigint | undefined;
  readonly cpuShares?: number | bigint | undefined;
  /** Default: this machine. */
  readonly host?: HostCapacity | undefined;
}

export interface HostCapacity {
  readonly cpus: number;
  readonly memoryMib: number;
}

export interface PodSize {
  /** Whole CPUs, at least 1. */
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly warnings: readonly string[];
}

const MIB = 1024 * 1024;
const BUILT_IN_VCPUS = 1;
const BUILT_IN_MEMORY_MIB = 2048;
/** CPU shares that stand for one CPU. */
const SHARES_PER_CPU = 1024;

type QemuSettings = Configuration["hypervisor"]["qemu"];

/**
 * Size of a pod's guest: the defaults plus what its containers may use, so that they get all they
 * are allowed to. A container that is its own pod has its limits in its OCI spec; for a pod of
 * Kubernetes, containerd writes the sums of its containers' limits into annotations.
 *
 * @throws MukonError ANNOTATION_VALUE when a CRI annotation is not a number
 */
export function podSize(
  settings: QemuSettings,
  annotations: Readonly<Record<string, string>>,
  ociSizing: OciSizing,
): PodSize {
  const host = ociSizing.host ?? thisHost();
  const isPod = podTypeOf(annotations).type === "sandbox";
  const limits = isPod ? criLimits(annotations) : ociSizing;
  const warnings: string[] = [];
  const vcpus = capped(
    {
      wanted: Math.ceil((settings.defaultVcpus || BUILT_IN_VCPUS) + workloadCpus(limits)),
      most: settings.defaultMaxvcpus === 0 ? host.cpus : settings.defaultMaxvcpus,
      what: "CPUs",
    },
    warnings,
  );
  const memoryMib = capped(
    {
      wanted: (settings.defaultMemory || BUILT_IN_MEMORY_MIB) + workloadMemoryMib(limits),
      most: settings.defaultMaxmemory === 0 ? host.memoryMib : settings.defaultMaxmemory,
      what: "MiB of memory",
    },
    warnings,
  );
  return { vcpus: Math.max(1, vcpus), memoryMib, warnings };
}

function thisHost(): HostCapacity {
  return { cpus: availableParallelism(), memoryMib: Math.floor(totalmem() / MIB) };
}

function capped(size: { wanted: number; most: number; what: string }, warnings: string[]): number {
  if (size.wanted <= size.most) return size.wanted;
  warnings.push(
    `The pod asks for ${size.wanted} ${size.what}; it gets the most allowed, ${size.most}.`,
  );
  return size.most;
}

/** Without a quota, shares count, as the kubelet's static CPU manager hands out whole CPUs. */
function workloadCpus(limits: OciSizing): number {
  const quota = Number(limits.cpuQuota ?? 0);
  const period = Number(limits.cpuPeriod ?? 0);
  if (quota > 0 && period > 0) return quota / period;
  if (quota < 0 && limits.cpuShares !== undefined) {
    return Math.ceil(Math.max(0, Number(limits.cpuShares)) / SHARES_PER_CPU);
  }
  return 0;
}

function workloadMemoryMib(limits: OciSizing): number {
  return Math.ceil(Math.max(0, Number(limits.memoryLimitBytes ?? 0)) / MIB);
}

function criLimits(annotations: Readonly<Record<string, string>>): OciSizing {
  const read = (name: string): number | undefined => {
    const key = `io.kubernetes.cri.sandbox-${name}`;
    if (!Object.hasOwn(annotations, key)) return undefined;
    const text = annotations[key] ?? "";
    if (/^-?[0-9]{1,19}$/.test(text)) return Number(text);
    throw new MukonError(
      "ANNOTATION_VALUE",
      `The annotation ${key} is ${describeValue(text)}, but must be a whole number.`,
      { details: { annotation: key } },
    );
  };
  return {
    memoryLimitBytes: read("memory"),
    cpuQuota: read("cpu-quota"),
    cpuPeriod: read("cpu-period"),
    cpuShares: read("cpu-shares"),
  };
}
