// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import {
  MAX_EXTRA_MEMORY_MIB,
  MAX_EXTRA_VCPUS,
  MAX_LAYERS,
  MAX_VOLUME_PART_BYTES,
  MAX_VOLUMES,
} from "./limits.ts";
import { Card, Network } from "./network.ts";
import {
  Count,
  DiskIdentifier,
  DiskSource,
  Identifier,
  JsonObject,
  PciAddress,
  ProcessIdentifier,
  plainText,
  range,
  TimeoutMs,
  VolumePath,
} from "./primitives.ts";
import { Stats } from "./stats.ts";

/** Which standard streams a process has; each true one brings its descriptors. */
export const Stdio = v.strictObject({
  terminal: v.boolean(),
  stdin: v.boolean(),
  stdout: v.boolean(),
  stderr: v.boolean(),
});
export type Stdio = v.InferOutput<typeof Stdio>;

const UserId = range(0, 0x7fff_ffff);
const Nothing = v.strictObject({});
const OfContainer = v.strictObject({ containerId: Identifier });
const OfProcess = v.strictObject({ containerId: Identifier, execId: Identifier });
const Stages = v.pipe(
  v.array(v.strictObject({ name: plainText(40), milliseconds: Count })),
  v.maxLength(32),
);

/** How QEMU reads and writes a disk; `aio` in Kata's words. */
const DiskSettings = {
  aio: v.optional(v.picklist(["threads", "native", "io_uring"])),
  cache: v.optional(v.strictObject({ direct: v.boolean(), noFlush: v.boolean() })),
};

/**
 * What the shim can ask of the keeper: parameters and result of each request. `execId` may be
 * left out, or "", where a container's first process is meant.
 */
export const METHODS = {
  boot: {
    params: v.strictObject({
      timeoutMs: TimeoutMs,
      /** The VMM waits for a saved state rather than for the word to boot. */
      isClone: v.optional(v.boolean()),
      /** Memory to be plugged in once the guest runs. */
      extraMemoryMib: v.optional(range(0, MAX_EXTRA_MEMORY_MIB)),
      /** Processors, likewise. */
      extraVcpus: v.optional(range(0, MAX_EXTRA_VCPUS)),
      /** What the machine has in its bay from the first moment on; its descriptor comes with this. */
      bay: v.optional(
        v.strictObject({ diskId: DiskIdentifier, readOnly: v.boolean(), ...DiskSettings }),
      ),
    }),
    /** None: there was nothing for the bay, or QEMU did not take it. */
    result: v.strictObject({ stages: Stages, bay: v.optional(DiskSource) }),
  },
  /** Stops the guest for good; its state goes to the descriptor that comes with this. */
  saveState: { params: v.strictObject({ timeoutMs: TimeoutMs }), result: Nothing },
  prepareSandbox: {
    params: v.strictObject({
      sandboxId: Identifier,
      hostname: v.pipe(v.string(), v.maxLength(253)),
      dns: v.pipe(v.array(v.pipe(v.string(), v.maxLength(1024))), v.maxLength(64)),
      /** Size of the pod's /dev/shm; none: 64 MiB. */
      sharedMemoryBytes: v.optional(Count),
    }),
    result: v.strictObject({ stages: Stages }),
  },
  attachDisk: {
    params: v.strictObject({
      diskId: DiskIdentifier,
      readOnly: v.boolean(),
      /** As what the guest sees it; default: virtio-blk. */
      driver: v.optional(v.picklist(["virtio-blk", "virtio-scsi"])),
      ...DiskSettings,
    }),
    result: v.strictObject({ source: DiskSource }),
  },
  /** The disk has grown, on the host, to this size. */
  resizeDisk: {
    params: v.strictObject({ diskId: DiskIdentifier, sizeBytes: Count }),
    result: Nothing,
  },
  detachDisk: { params: v.strictObject({ diskId: DiskIdentifier }), result: Nothing },
  /** A device of the host's, for which the VMM's jail has a node already. */
  attachHostDevice: {
    params: v.strictObject({ address: PciAddress }),
    result: v.strictObject({ source: DiskSource }),
  },
  detachHostDevice: { params: v.strictObject({ address: PciAddress }), result: Nothing },
  /** Brings the descriptor of a tap device, and perhaps that of /dev/vhost-net. */
  attachCard: { params: Card, result: v.strictObject({ source: DiskSource }) },
  setUpNetwork: { params: Network, result: Nothing },
  /** A socket comes with this that listens for connections to ports of the guest's. */
  forwardPorts: { params: Nothing, result: Nothing },
  /** A socket that is connected with virtiofsd comes with this. */
  attachSharedFs: {
    params: v.strictObject({ queueSize: range(1, 1024) }),
    result: Nothing,
  },
  /** Part of a file, or all else that can be in a volume; "nothing" removes what is there. */
  putVolumeEntry: {
    params: v.strictObject({
      volume: Identifier,
      path: VolumePath,
      kind: v.picklist(["file", "directory", "link", "nothing"]),
      mode: range(0, 0o7777),
      uid: UserId,
      gid: UserId,
      fileSize: Count,
      offset: Count,
      data: v.pipe(
        v.string(),
        v.regex(/^[A-Za-z0-9+/]*={0,2}$/),
        v.maxLength(MAX_VOLUME_PART_BYTES * 1.5),
      ),
    }),
    result: Nothing,
  },
  createContainer: {
    params: v.strictObject({
      containerId: Identifier,
      spec: JsonObject,
      /** Disks; none: the root file system is shared, see `sharedRootfs`. */
      layers: v.pipe(v.array(v.strictObject({ source: DiskSource })), v.maxLength(MAX_LAYERS)),
      scratch: v.optional(v.strictObject({ source: DiskSource })),
      /** A disk with an ext4 file system that is the root file system by itself. */
      rootDisk: v.optional(v.strictObject({ source: DiskSource, readOnly: v.boolean() })),
      /** Disks beside it: as devices, or mounted where they have a file system. */
      disks: v.optional(
        v.pipe(
          v.array(
            v.strictObject({
              source: DiskSource,
              destination: v.pipe(v.string(), v.maxLength(4096)),
              readOnly: v.boolean(),
              fileSystem: v.optional(v.picklist(["ext4", "erofs"])),
            }),
          ),
          v.maxLength(MAX_VOLUMES),
        ),
      ),
      /** Devices of the host's that the guest has for it. */
      hostDevices: v.optional(
        v.pipe(
          v.array(
            v.strictObject({
              address: PciAddress,
              source: DiskSource,
              destination: v.pipe(v.string(), v.maxLength(4096)),
            }),
          ),
          v.maxLength(MAX_VOLUMES),
        ),
      ),
      /** Name in the shared file system. */
      sharedRootfs: v.optional(Identifier),
      /** Where in the container the volumes go that it has been sent. */
      volumes: v.optional(
        v.pipe(
          v.array(
            v.strictObject({
              destination: v.pipe(v.string(), v.maxLength(4096)),
              volume: Identifier,
              /** It is in the shared file system; else it has been copied. */
              isShared: v.optional(v.boolean()),
            }),
          ),
          v.maxLength(MAX_VOLUMES),
        ),
      ),
      stdio: Stdio,
      timeoutMs: v.optional(TimeoutMs),
    }),
    result: Nothing,
  },
  startContainer: { params: OfContainer, result: Nothing },
  exec: {
    params: v.strictObject({
      containerId: Identifier,
      execId: Identifier,
      process: JsonObject,
      stdio: Stdio,
    }),
    result: Nothing,
  },
  startExec: { params: OfProcess, result: Nothing },
  signal: {
    params: v.strictObject({
      containerId: Identifier,
      execId: v.optional(ProcessIdentifier),
      signal: range(0, 64),
      all: v.boolean(),
    }),
    result: Nothing,
  },
  resize: {
    params: v.strictObject({
      containerId: Identifier,
      execId: v.optional(ProcessIdentifier),
      width: range(0, 65_535),
      height: range(0, 65_535),
    }),
    result: Nothing,
  },
  closeStdin: {
    params: v.strictObject({
      containerId: Identifier,
      execId: v.optional(ProcessIdentifier),
    }),
    result: Nothing,
  },
  pause: { params: OfContainer, result: Nothing },
  resume: { params: OfContainer, result: Nothing },
  update: {
    params: v.strictObject({ containerId: Identifier, resources: JsonObject }),
    result: Nothing,
  },
  stats: { params: OfContainer, result: Stats },
  removeContainer: { params: OfContainer, result: Nothing },
  removeExec: { params: OfProcess, result: Nothing },
  destroySandbox: { params: v.strictObject({ timeoutMs: TimeoutMs }), result: Nothing },
} as const;

export type Method = keyof typeof METHODS;
export type MethodParams<M extends Method> = v.InferOutput<(typeof METHODS)[M]["params"]>;
export type MethodResult<M extends Method> = v.InferOutput<(typeof METHODS)[M]["result"]>;

/** True for the name of a request that the keeper knows. */
export function isMethod(name: string): name is Method {
  return Object.hasOwn(METHODS, name);
}

/** How many descriptors a process with these streams brings, in the order of {@link Stdio}. */
export function stdioDescriptorCount(stdio: Stdio): number {
  return (stdio.stdin ? 2 : 0) + (stdio.stdout ? 1 : 0) + (stdio.stderr ? 1 : 0);
}
