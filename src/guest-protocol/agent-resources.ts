// SPDX-License-Identifier: Apache-2.0
import { create } from "@bufbuild/protobuf";
import { type LinuxResources, LinuxResourcesSchema } from "../generated/agent/oci_pb.ts";
import type { Integer64 } from "./oci/values.ts";
import type { OciResources } from "./oci-spec.ts";

/**
 * Limits as the agent takes them. What names the host's hardware stays out: CPU and memory node
 * numbers, devices, disks, network classes. Limits on the number of processes go in, unlike in
 * Kata, so that a fork bomb is held by the guest's cgroup too.
 */
export function toAgentResources(resources: OciResources): LinuxResources {
  const { memory, cpu, pids } = resources;
  return create(LinuxResourcesSchema, {
    ...(memory && {
      Memory: {
        Limit: exact(memory.limit),
        Reservation: exact(memory.reservation),
        Swap: exact(memory.swap),
        Kernel: exact(memory.kernel),
        KernelTCP: exact(memory.kernelTCP),
        Swappiness: exact(memory.swappiness),
        DisableOOMKiller: memory.disableOOMKiller ?? false,
      },
    }),
    ...(cpu && {
      CPU: {
        Shares: exact(cpu.shares),
        Quota: exact(cpu.quota),
        Period: exact(cpu.period),
        RealtimeRuntime: exact(cpu.realtimeRuntime),
        RealtimePeriod: exact(cpu.realtimePeriod),
      },
    }),
    ...(pids && { Pids: { Limit: exact(pids.limit) } }),
    HugepageLimits: (resources.hugepageLimits ?? []).map(({ pageSize, limit }) => ({
      Pagesize: pageSize,
      Limit: BigInt(limit),
    })),
  });
}

function exact(value: Integer64 | undefined): bigint {
  return BigInt(value ?? 0);
}
