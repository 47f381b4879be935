// SPDX-License-Identifier: Apache-2.0
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MountSchema } from "../generated/agent/oci_pb.ts";
import type { OciMount } from "./oci-spec.ts";
import { SHARED_MEMORY_PATH } from "./volumes.ts";

/** File systems that the guest's kernel makes out of nothing. */
const GUEST_FILE_SYSTEMS: readonly string[] = [
  ...["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"],
];
/** The host's folder would be the wrong one; all containers of the pod share the guest's. */
const SHARED_MEMORY: MessageInitShape<typeof MountSchema> = {
  destination: "/dev/shm",
  type: "bind",
  source: SHARED_MEMORY_PATH,
  options: ["rbind"],
};

export interface AgentMounts {
  readonly mounts: MessageInitShape<typeof MountSchema>[];
  /** Destinations of mounts that name something of the host which is not in the guest. */
  readonly dropped: readonly string[];
}

/**
 * Mounts as the agent takes them. A source on the host means nothing in the guest, or worse,
 * something else: such a mount goes in only with the source it has in the guest.
 *
 * @param guestSources by destination: absolute paths in the guest
 */
export function toAgentMounts(
  mounts: readonly OciMount[],
  guestSources: ReadonlyMap<string, string>,
): AgentMounts {
  const kept: MessageInitShape<typeof MountSchema>[] = [];
  const dropped: string[] = [];
  for (const mount of mounts) {
    const { destination, source = "", type = "", options = [] } = mount;
    const guestSource = guestSources.get(destination);
    if (guestSource !== undefined) {
      kept.push({ destination, source: guestSource, type: "bind", options: bindOptions(options) });
    } else if (!isBind(mount) && GUEST_FILE_SYSTEMS.includes(type)) {
      kept.push({ destination, source, type, options });
    } else if (destination === "/dev/shm") kept.push(SHARED_MEMORY);
    else dropped.push(destination);
  }
  return { mounts: kept, dropped };
}

/** Whether a mount shows something that is on the host already. */
export function isBind({ type, options = [] }: OciMount): boolean {
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

function bindOptions(options: readonly string[]): string[] {
  const isMarked = options.includes("bind") || options.includes("rbind");
  return isMarked ? [...options] : ["rbind", ...options];
}
