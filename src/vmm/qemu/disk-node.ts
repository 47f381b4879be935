// SPDX-License-Identifier: Apache-2.0
import { fstatSync, readFileSync } from "node:fs";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import type { QmpClient } from "./qmp/client.ts";

const ACCESS_MODE_MASK = 0o3;
const READ_ONLY = 0;
const READ_WRITE = 2;

export interface DiskContent {
  /** Short plain name, unique in the pod. */
  diskId: string;
  /** Open for reading, or for both when not `readOnly`; QEMU gets a copy, the caller closes. */
  descriptor: number;
  readOnly: boolean;
  /** How QEMU reads and writes; default "threads". */
  aio?: "threads" | "native" | "io_uring" | undefined;
  /** Default: through the host's page cache, flushed when the guest says so. */
  cache?: { direct: boolean; noFlush: boolean } | undefined;
}

/**
 * Gives QEMU a file or a block device to read from, and to write to, as a node that a disk can have.
 * Errors: those of {@link QmpClient}; see {@link asLocked}.
 */
export async function addDiskNode(
  qmp: Pick<QmpClient, "addDescriptor" | "execute">,
  content: DiskContent,
  descriptorSet: number,
): Promise<void> {
  await qmp.addDescriptor(descriptorSet, content.descriptor);
  await qmp.execute("blockdev-add", blockNode(content, descriptorSet));
}

/** What was not made cannot be removed, which is no failure of its own. */
export async function removeDiskNode(
  qmp: Pick<QmpClient, "execute">,
  diskId: string,
  descriptorSet: number,
): Promise<void> {
  const ignore = (): void => {};
  await qmp.execute("blockdev-del", { "node-name": nodeName(diskId) }).catch(ignore);
  await qmp.execute("remove-fd", { "fdset-id": descriptorSet }).catch(ignore);
}

/**
 * A descriptor that can do more than the disk may would hand a captured VMM the difference.
 * Errors: `VMM_DISK_ACCESS`.
 */
export function checkAccess({ descriptor, readOnly }: DiskContent): void {
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

/** QEMU's name of what a disk reads from. */
export function nodeName(diskId: string): string {
  // QEMU takes up to 31 characters; names of disks have at most 28.
  return `n-${diskId}`;
}

function blockNode(content: DiskContent, descriptorSet: number): Record<string, unknown> {
  const isBlockDevice = fstatSync(content.descriptor).isBlockDevice();
  // Linux completes such requests at once, in the wrong thread, unless they bypass the page cache.
  const isDirect = content.cache?.direct === true || content.aio === "native";
  return {
    driver: "raw",
    "node-name": nodeName(content.diskId),
    "read-only": content.readOnly,
    discard: content.readOnly ? "ignore" : "unmap",
    file: {
      driver: isBlockDevice ? "host_device" : "file",
      filename: `/dev/fdset/${descriptorSet}`,
      "read-only": content.readOnly,
      aio: content.aio ?? "threads",
    },
    cache: { direct: isDirect, "no-flush": content.cache?.noFlush ?? false },
  };
}

/**
 * QEMU locks what it opens, some of it when a device comes to use it (docs/system/qemu-block-drivers,
 * "Disk image file locking").
 */
export function asLocked(error: unknown): unknown {
  if (!/Failed to get .* lock/.test(asMukonError(error).message)) return error;
  return new MukonError("VMM_DISK_LOCKED", "The disk is in use by another VM.", {
    hint: "Several VMs may read one disk at the same time; one that writes has it alone.",
    cause: error,
  });
}
