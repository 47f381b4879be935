// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { QmpClient } from "./qmp/client.ts";

const TIMEOUT_MS = 10_000;

/**
 * Asks the guest to let a device go, and waits until it has. Errors: `VMM_DISK_BUSY` when the guest does
 * not, and those of {@link QmpClient}.
 */
export async function unplug(
  qmp: Pick<QmpClient, "execute" | "onEvent">,
  device: { name: string; what: string },
): Promise<void> {
  let cancel = (): void => {};
  const gone = new Promise<void>((resolve, reject) => {
    const stopListening = qmp.onEvent(({ name, data }) => {
      if (name === "DEVICE_DELETED" && data.device === device.name) resolve();
    });
    const timer = setTimeout(
      () => reject(new MukonError("VMM_DISK_BUSY", `The guest keeps ${device.what}.`)),
      TIMEOUT_MS,
    );
    cancel = () => {
      stopListening();
      clearTimeout(timer);
    };
  });
  // The command itself may fail first; then nobody waits any more.
  gone.catch(() => {});
  try {
    await qmp.execute("device_del", { id: device.name });
    await gone;
  } finally {
    cancel();
  }
}
