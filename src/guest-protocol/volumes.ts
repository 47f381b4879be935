// SPDX-License-Identifier: Apache-2.0
import { create } from "@bufbuild/protobuf";
import { type Storage, StorageSchema } from "../generated/agent/agent_pb.ts";
import { checkedContainerId } from "./container-id.ts";

const SHARED = "/run/kata-containers/shared/containers";
/** Apart from the copies, which are written by the agent. */
const SHARED_FS = "/run/kata-containers/shared/virtiofs";
/** Tag of the virtio-fs device; Kata's name. */
export const SHARED_FS_TAG = "kataShared";

/** The pod's /dev/shm, where Kata has it too. */
export const SHARED_MEMORY_PATH = "/run/kata-containers/sandbox/shm";

/** Memory that the containers of a pod share; made with the sandbox. */
export function sharedMemoryStorage(sizeBytes: number): Storage {
  return create(StorageSchema, {
    driver: "ephemeral",
    source: "shm",
    fstype: "tmpfs",
    options: ["noexec", "nosuid", "nodev", "mode=1777", `size=${sizeBytes}`],
    mountPoint: SHARED_MEMORY_PATH,
  });
}

/** Where in the guest the copy of a volume lies, or one file of it. */
export function volumePath(volume: string, path = ""): string {
  const root = `${SHARED}/${checkedContainerId(volume)}/data`;
  return path === "" ? root : `${root}/${path}`;
}

/** Where in the guest something lies that is shared under this name. */
export function sharedPath(name: string): string {
  return `${SHARED_FS}/${checkedContainerId(name)}`;
}

/** For every container that uses something shared; the agent mounts it once. */
export function sharedFsStorage(): Storage {
  return create(StorageSchema, {
    driver: "virtio-fs",
    source: SHARED_FS_TAG,
    fstype: "virtiofs",
    options: ["nodev"],
    mountPoint: SHARED_FS,
  });
}
