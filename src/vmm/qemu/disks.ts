// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { BAY_DESCRIPTOR_SET, BAY_PCI_PATH, fillBay } from "./bay.ts";
import {
  addDiskNode,
  asLocked,
  checkAccess,
  type DiskContent,
  nodeName,
  removeDiskNode,
} from "./disk-node.ts";
import type { DiskSlot, DiskSlots } from "./disk-slots.ts";
import type { QmpClient } from "./qmp/client.ts";
import { type ScsiAddress, ScsiBus, scsiDisk, scsiSource } from "./scsi.ts";
import { unplug } from "./unplug.ts";

/** Sets of descriptors below this belong to the launch plan. */
const FIRST_DESCRIPTOR_SET = 16;

export interface DiskRequest extends DiskContent {
  /** As what the guest sees it; default: virtio-blk. */
  driver?: "virtio-blk" | "virtio-scsi" | undefined;
}

interface AttachedDisk {
  place: DiskPlace;
  descriptorSet: number;
}

/** A slot of its own, an address behind the SCSI controller, or the bay. */
type DiskPlace = { slot: DiskSlot } | { scsi: ScsiAddress } | { bay: true };
/** Where it is plugged in by a command. */
type PluggedPlace = Exclude<DiskPlace, { bay: true }>;

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
    this.#checkNew(request);
    const place = await this.#takePlace(request);
    const descriptorSet = ++this.#lastDescriptorSet;
    await this.#provide(request, { place, descriptorSet }, async () => {
      await this.#qmp.execute("device_add", {
        ...deviceAt(place),
        id: deviceName(request.diskId),
        drive: nodeName(request.diskId),
        // A full disk of the host is the guest's error, not the end of its running.
        werror: "report",
        rerror: "report",
      });
    });
    return { source: "slot" in place ? place.slot.pciPath : scsiSource(place.scsi) };
  }

  /**
   * Puts a disk into the bay of a machine that does not run yet. Errors: as of {@link attach}, and
   * `VMM_DISK_BUSY` where one is there already.
   */
  async attachToBay(content: DiskContent): Promise<{ source: string }> {
    this.#checkNew(content);
    if (this.inBay !== undefined) {
      throw new MukonError("VMM_DISK_BUSY", "There is a disk in the bay already.");
    }
    const disk = { place: { bay: true }, descriptorSet: BAY_DESCRIPTOR_SET } as const;
    await this.#provide(content, disk, () => fillBay(this.#qmp, nodeName(content.diskId)));
    return { source: BAY_PCI_PATH };
  }

  /** Name of the disk in the bay. */
  get inBay(): string | undefined {
    return [...this.#attached].find(([, { place }]) => "bay" in place)?.[0];
  }

  #checkNew(content: DiskContent): void {
    if (this.#attached.has(content.diskId)) {
      throw new MukonError("VMM_DISK_BUSY", `The pod has a disk "${content.diskId}" already.`);
    }
    checkAccess(content);
  }

  async #provide(
    content: DiskContent,
    disk: AttachedDisk,
    plug: () => Promise<void>,
  ): Promise<void> {
    this.#attached.set(content.diskId, disk);
    try {
      await addDiskNode(this.#qmp, content, disk.descriptorSet);
      await plug();
    } catch (error) {
      await this.#forget(content.diskId, disk);
      throw asLocked(error);
    }
  }

  async #takePlace({ driver }: DiskRequest): Promise<PluggedPlace> {
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
    if ("bay" in disk.place) await fillBay(this.#qmp, undefined);
    else await unplug(this.#qmp, { name: deviceName(diskId), what: `the disk "${diskId}"` });
    await this.#forget(diskId, disk);
  }

  #find(diskId: string): AttachedDisk {
    const disk = this.#attached.get(diskId);
    if (disk !== undefined) return disk;
    throw new MukonError("VMM_DISK_UNKNOWN", `The pod has no disk "${diskId}".`);
  }

  async #forget(diskId: string, { place, descriptorSet }: AttachedDisk): Promise<void> {
    await removeDiskNode(this.#qmp, diskId, descriptorSet);
    this.#attached.delete(diskId);
    if ("slot" in place) this.#slots.giveBack(place.slot);
    else if ("scsi" in place) this.#scsi.giveBack(place.scsi);
  }
}

function deviceAt(place: PluggedPlace): Record<string, unknown> {
  if ("scsi" in place) return scsiDisk(place.scsi);
  const { bus, address: addr } = place.slot;
  return { driver: "virtio-blk-pci-non-transitional", bus, addr };
}

function deviceName(diskId: string): string {
  return `disk-${diskId}`;
}
