// SPDX-License-Identifier: Apache-2.0
import type { KeeperClient } from "../../sandbox/keeper-client.ts";
import type { Pod } from "../../sandbox/pod.ts";
import type { PodDevices } from "../../sandbox/pod-devices.ts";
import type { PodShares } from "../../sandbox/pod-shares.ts";

/** Requests to the keeper that tasks are made of. */
export type TaskKeeper = Pick<
  KeeperClient,
  | "putVolumeEntry"
  | "createContainer"
  | "startContainer"
  | "exec"
  | "startExec"
  | "signal"
  | "resize"
  | "closeStdin"
  | "pause"
  | "resume"
  | "update"
  | "stats"
  | "removeContainer"
  | "removeExec"
  | "resizeDisk"
  | "detachDisk"
>;

/** A pod, as far as tasks are concerned. */
export type TaskPod = Pick<
  Pod,
  | "vmmPid"
  | "networkHolderPid"
  | "joinNetwork"
  | "configuration"
  | "lost"
  | "attachDisk"
  | "expectWrites"
> & {
  destroy: () => Promise<unknown>;
  keeper: TaskKeeper;
  devices: Pick<PodDevices, "attach" | "detach">;
  shares: Pick<PodShares, "addBind" | "addOverlay" | "remove">;
};
