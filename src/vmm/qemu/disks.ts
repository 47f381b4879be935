// SPDX-License-Identifier: Apache-2.0
import { fstatSync, readFileSync } from "node:fs";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import type { DiskSlot, DiskSlots } from "./disk-slots.ts";
import type { QmpClient } from "./qmp/client.ts";
import { type ScsiAddress, ScsiBus, scsiDisk, scsiSource } from "./scsi.ts";
import { unplug } from "./unplug.ts";

/** Sets of descriptors below this belong to the launch plan. */
const FIRST_DESCRIPTOR_SET = 16;
const ACCESS_MODE_MASK = 0o3;
const READ_ONLY = 0;
const READ_WRITE = 2;

export interface DiskRequest {
  /** Short plain name, unique in the pod. */
  diskId: string;
  /** Open for reading, or for both when not `readOnly`; QEMU gets a copy, the caller closes. */
  descriptor: number;
  readOnly: boolean;
  /** As what the guest sees it; default: virtio-blk. */
  driver?: "virtio-blk" | "virtio-scsi" | undefined;
  /** How QEMU reads and writes; default "threads". */
  aio?: "threads" | "native" | "io_uring" | undefined;
  /** Default: through the host's page cache, flushed when the guest says so. */
  cache?: { direct: boolean; noFlush: boolean } | undefined;
}

interface AttachedDisk {
  place: DiskPlace;
  descriptorSet: number;
}

/** A slot of its own, or an address behind the SCSI controller. */
type DiskPlace = { slot: DiskSlot } | { scsi: ScsiAddress };

/** Disks that are plugged into a running machine, by descriptor alone. */
export class Disks {
  readonly #qmp: QmpClient;
  readonly #slots: DiskSlots;
  readonly #scsi: ScsiBus;
  readonly #attached = new Map<string, AttachedDisk>();
  #lastDescriptorSet = FIRST_DESCRIPTOR_SET - 1;

  constructor(qmp: QmpClient, slots: DiskSlots) {
    this.#qmp = qmp;
    this.#slots = slots;
    this.#scsi = new ScsiBus(qmp, slots);
  }

  /**
   * Plugs a disk in; the guest finds it a little later, at the returned PCI path or SCSI address.
   * Errors: those of {@link QmpClient}, `VMM_SLOTS_EXHAUSTED`, `VMM_DISK_BUSY`, `VMM_DISK_ACCESS`,
   * `VMM_DISK_LOCKED`.
   */
  async attach(request: DiskRequest): Promise<{ source: string }> {
    const { diskId, descriptor, readOnly } = request;
    if (this.#attached.has(diskId)) {
      throw new MukonError("VMM_DISK_BUSY", `The pod has a disk "${diskId}" already.`);
    }
    checkAccess(descriptor, readOnly);
    const place = await this.#takePlace(request);
    const disk = { place, descriptorSet: ++this.#lastDescriptorSet };
    this.#attached.set(diskId, disk);
    try {
      await this.#qmp.addDescriptor(disk.descriptorSet, descriptor);
      await this.#qmp.execute("blockdev-add", blockNode(request, disk.descriptorSet));
      await this.#qmp.execute("device_add", {
        ...deviceAt(place),
        id: deviceName(diskId),
        drive: nodeName(diskId),
        // A full disk of the host is the guest's error, not the end of its running.
        werror: "report",
        rerror: "report",
      });
    } catch (error) {
      await this.#forget(diskId, disk);
      throw asLocked(error);
    }
    return { source: "slot" in place ? place.slot.pciPath : scsiSource(place.scsi) };
  }

  async #takePlace({ driver }: DiskRequest): Promise<DiskPlace> {
    if (driver === "virtio-scsi") return { scsi: await this.#scsi.take() };
    return { slot: this.#slots.take() };
  }

  /** Tells the guest what size the disk has now. Errors: `VMM_DISK_UNKNOWN`, {@link QmpClient}'s. */
  async resize(diskId: string, sizeBytes: number): Promise<void> {
    this.#find(diskId);
    await this.#qmp.execute("block_resize", { "node-name": nodeName(diskId), size: sizeBytes });
  }

  /** Unplugs a disk: `VMM_DISK_UNKNOWN`, or `VMM_DISK_BUSY` when the guest does not let it go. */
  async detach(diskId: string): Promise<void> {
    const disk = this.#find(diskId);
    await unplug(this.#qmp, { name: deviceName(diskId), what: `the disk "${diskId}"` });
    await this.#forget(diskId, disk);
  }

  #find(diskId: string): AttachedDisk {
    const disk = this.#attached.get(diskId);
    if (disk !== undefined) return disk;
    throw new MukonError("VMM_DISK_UNKNOWN", `The pod has no disk "${diskId}".`);
  }

  /** What was not made cannot be removed, which is no failure of its own. */
  async #forget(diskId: string, disk: AttachedDisk): Promise<void> {
    const ignore = (): void => {};
    await this.#qmp.execute("blockdev-del", { "node-name": nodeName(diskId) }).catch(ignore);
    await this.#qmp.execute("remove-fd", { "fdset-id": disk.descriptorSet }).catch(ignore);
    this.#attached.delete(diskId);
    const { place } = disk;
    if ("slot" in place) this.#slots.giveBack(place.slot);
    else this.#scsi.giveBack(place.scsi);
  }
}

function deviceAt(place: DiskPlace): Record<string, unknown> {
  if ("scsi" in place) return scsiDisk(place.scsi);
  const { bus, address: addr } = place.slot;
  return { driver: "virtio-blk-pci-non-transitional", bus, addr };
}

function blockNode(request: DiskRequest, descriptorSet: number): Record<string, unknown> {
  const isBlockDevice = fstatSync(request.descriptor).isBlockDevice();
  // Linux completes such requests at once, in the wrong thread, unless they bypass the page cache.
  const isDirect = request.cache?.direct === true || request.aio === "native";
  return {
    driver: "raw",
    "node-name": nodeName(request.diskId),
    "read-only": request.readOnly,
    discard: request.readOnly ? "ignore" : "unmap",
    file: {
      driver: isBlockDevice ? "host_device" : "file",
      filename: `/dev/fdset/${descriptorSet}`,
      "read-only": request.readOnly,
      aio: request.aio ?? "threads",
    },
    cache: { direct: isDirect, "no-flush": request.cache?.noFlush ?? false },
  };
}

/** QEMU locks what it opens (docs/system/qemu-block-drivers, "Disk image file locking"). */
function asLocked(error: unknown): unknown {
  if (!/Failed to get .* lock/.test(asMukonError(error).message)) return error;
  return new MukonError("VMM_DISK_LOCKED", "The disk is in use by another VM.", {
    hint: "Several VMs may read one disk at the same time; one that writes has it alone.",
    cause: error,
  });
}

/** A descriptor that can do more than the disk may would hand a captured VMM the difference. */
function checkAccess(descriptor: number, readOnly: boolean): void {
  const flags = /^flags:\s*([0-7]+)$/m.exec(
    readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"),
  );
  const mode = Number.parseInt(flags?.[1] ?? "", 8) & ACCESS_MODE_MASK;
  if (mode === (readOnly ? READ_ONLY : READ_WRITE)) return;
  throw new MukonError(
    "VMM_DISK_ACCESS",
    `The descriptor of a ${readOnly ? "read-only" : "writable"} disk is open for something else.`,
  );
}

function deviceName(diskId: string): string {
  return `disk-${diskId}`;
}

function nodeName(diskId: string): string {
  // QEMU takes up to 31 characters; names of disks have at most 28.
  return `n-${diskId}`;
}
