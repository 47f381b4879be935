// SPDX-License-Identifier: Apache-2.0
import { rmSync } from "node:fs";
import { join } from "node:path";
import { openGuest } from "../../../guest/image/open.ts";
import { loadConfiguration } from "../../config/load.ts";
import { checkHost } from "../../host/check/check.ts";
import type { CheckResult } from "../../host/check/types.ts";
import { runRoot } from "../../linux/paths.ts";
import { probeAccelerator } from "../../vmm/qemu/accelerator-probe.ts";

export interface CheckHereOptions {
  fix: boolean;
  /** Of the configuration file. */
  path: string | undefined;
}

/** Checks this host afresh: an answer about KVM from an earlier time is dropped first. */
export async function checkThisHost(options: CheckHereOptions): Promise<CheckResult[]> {
  const { configuration } = await loadConfiguration({ path: options.path });
  const { qemu } = configuration.hypervisor;
  const cachePath = join(runRoot(), "accelerator.json");
  rmSync(cachePath, { force: true });
  return checkHost({
    configuration,
    fix: options.fix,
    probes: {
      guest: async () => `Linux ${(await openGuest()).manifest.kernelRelease}`,
      accelerator: async () => {
        const { kernelPath, initrdPath } = await openGuest();
        return probeAccelerator({
          wanted: qemu.accelerator,
          kvmAccess: configuration.mukon.kvmAccess,
          qemuPath: qemu.path,
          cpuFeatures: qemu.cpuFeatures,
          kernelPath,
          initrdPath,
          cachePath,
        });
      },
    },
  });
}
