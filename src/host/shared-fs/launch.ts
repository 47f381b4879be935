// SPDX-License-Identifier: Apache-2.0
import { fileIdMap, type PodIdentity } from "../identity/types.ts";
import { programJail } from "../jail/program-jail.ts";
import type { Jail } from "../jail/types.ts";
import type { CapabilityName, ConfinedLaunch, ExpectedConfinement } from "../launcher/types.ts";
import { JAIL_NAMESPACES } from "../launcher/verify.ts";
import { type Daemon, type DaemonSettings, daemonArguments } from "./daemon.ts";

export const SHARED_FS_ROLE = "virtiofsd";
/** It keeps one open for each file that the guest knows. */
const MAX_OPEN_FILES = 1_048_576;
const LISTENER = 3;
/** Where its jail has the directory that the guest is to see. */
const SHARED = "/shared";

/**
 * What it may do in its own user namespace, where nothing belongs to anybody but the pod. The last
 * two are for shutting itself in; the thread that QEMU's virtiofsd starts before that keeps them.
 */
export const SHARED_FS_CAPABILITIES: readonly CapabilityName[] = [
  ...(["chown", "dac_override", "fowner", "fsetid", "setgid", "setuid", "mknod"] as const),
  ...(["setfcap", "sys_chroot", "setpcap"] as const),
];

/** What it is held to as long as it runs, whichever of the two it is. */
export function sharedFsConfinement({ block: { base } }: PodIdentity): ExpectedConfinement {
  return {
    ...{ role: SHARED_FS_ROLE, uid: base, gid: base, groups: [], seccomp: "main" },
    ownNamespaces: [...JAIL_NAMESPACES, "user"],
    userNamespace: { map: fileIdMap(base), capabilities: SHARED_FS_CAPABILITIES },
  };
}

export interface SharedFsLaunchRequest {
  identity: PodIdentity;
  daemon: Daemon;
  settings: DaemonSettings;
  jail: Jail;
  /** A listening socket. */
  listener: number;
  /** Descriptor of a user namespace with {@link fileIdMap}. */
  userNamespace: number;
}

/** What virtiofsd sees until it has made `directory` its root. */
export async function sharedFsJail(
  daemon: Daemon,
  { directory, identity }: { directory: string; identity: PodIdentity },
): Promise<Jail> {
  return {
    ...(await programJail(daemon.path, [])),
    // Neither kind starts without a number of /proc/sys/fs (file-max, nr_open), which it has no use for.
    isProcWhole: true,
    shared: { directory, at: SHARED },
    toolOwner: identity.block.base,
  };
}

/** How to start virtiofsd: as root of a namespace whose ids are the pod's, and of nothing else. */
export function sharedFsLaunch(request: SharedFsLaunchRequest): ConfinedLaunch {
  const { base } = request.identity.block;
  return {
    role: SHARED_FS_ROLE,
    argv: daemonArguments(
      request.daemon,
      { directory: SHARED, descriptor: LISTENER },
      request.settings,
    ),
    uid: base,
    gid: base,
    groups: [],
    stdio: ["ignore", "ignore", "pipe", request.listener],
    maxOpenFiles: MAX_OPEN_FILES,
    userNamespace: {
      descriptor: request.userNamespace,
      map: fileIdMap(base),
      capabilities: SHARED_FS_CAPABILITIES,
    },
    jail: request.jail,
  };
}
