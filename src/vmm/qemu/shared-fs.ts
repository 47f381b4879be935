// SPDX-License-Identifier: Apache-2.0
import type { DiskSlots } from "./disk-slots.ts";
import type { QmpClient } from "./qmp/client.ts";

const NAME = "shared";
const SOCKET_NAME = "shared-socket";
/** virtiofsd is asked for a few things meanwhile, and QEMU waits for it. */
const ATTACH_TIMEOUT_MS = 20_000;

export interface SharedFsOptions {
  descriptor: number;
  queueSize: number;
  /** What the guest mounts it by. */
  tag: string;
}

/**
 * Plugs in the device that the guest's file requests go through. `descriptor` is a socket that is
 * connected with virtiofsd; QEMU gets a copy of it. The guest's memory must be shareable.
 * Errors: those of {@link QmpClient}, `VMM_SLOTS_EXHAUSTED`.
 */
export async function attachSharedFs(
  machine: { qmp: Pick<QmpClient, "execute">; slots: DiskSlots },
  options: SharedFsOptions,
): Promise<void> {
  const { qmp, slots } = machine;
  const slot = slots.take();
  await qmp.execute("getfd", { fdname: SOCKET_NAME }, { descriptor: options.descriptor });
  await qmp.execute("chardev-add", {
    id: NAME,
    backend: {
      type: "socket",
      data: { addr: { type: "fd", data: { str: SOCKET_NAME } }, server: false },
    },
  });
  const device = {
    driver: "vhost-user-fs-pci",
    id: NAME,
    chardev: NAME,
    tag: options.tag,
    "queue-size": options.queueSize,
    bus: slot.bus,
    addr: slot.address,
  };
  await qmp.execute("device_add", device, { timeoutMs: ATTACH_TIMEOUT_MS });
}
