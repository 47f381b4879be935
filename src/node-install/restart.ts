// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { run } from "../linux/run.ts";

const RESTART_TIMEOUT_MS = 180_000;
/** In the node's own mount namespace, where its systemctl is; process 1 is the node's (hostPID). */
export const ON_NODE: readonly string[] = [
  "nsenter",
  "--target",
  "1",
  "--mount",
  "--",
  "systemctl",
];

/** @throws INSTALL_RESTART_FAILED */
export async function restartUnit(systemctl: readonly string[], unit: string): Promise<void> {
  try {
    await run([...systemctl, "daemon-reload"], { timeoutMs: RESTART_TIMEOUT_MS });
    await run([...systemctl, "restart", unit], { timeoutMs: RESTART_TIMEOUT_MS });
  } catch (error) {
    throw new MukonError(
      "INSTALL_RESTART_FAILED",
      `${unit} could not be restarted: ${(error as Error).message}`,
      {
        hint: `On the node: systemctl status ${unit}; journalctl -u ${unit}. Its configuration has changed, but it may still run with the old one.`,
        cause: error,
      },
    );
  }
}
