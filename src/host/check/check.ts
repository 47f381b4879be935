// SPDX-License-Identifier: Apache-2.0
import type { Configuration } from "../../config/keys/registry.ts";
import { asMukonError } from "../../errors/mukon-error.ts";
import { needsKvmGroup } from "../../vmm/qemu/kvm-access.ts";
import { checkIdRange } from "./id-range.ts";
import { checkIdentityBackend } from "./identity.ts";
import { checkCgroup, checkKernelRelease, checkSeccomp, checkUserNamespaces } from "./kernel.ts";
import { checkKvmNode } from "./kvm-node.ts";
import { checkLandlock } from "./landlock.ts";
import { checkPrograms } from "./programs.ts";
import { checkSharedFs } from "./shared-fs.ts";
import type { CheckProbes, CheckResult } from "./types.ts";
import { checkUserNetwork } from "./user-network.ts";

export interface CheckRequest {
  configuration: Configuration;
  /** Sets group and mode of /dev/kvm, now and for later boots. */
  fix?: boolean;
  probes?: CheckProbes;
}

/** What this host has and lacks, one line each; nothing is thrown for what is lacking. */
export async function checkHost(request: CheckRequest): Promise<CheckResult[]> {
  const { configuration, probes = {} } = request;
  const { mukon, hypervisor } = configuration;
  const results = [
    checkKernelRelease(),
    checkPrograms(hypervisor.qemu.path),
    // Before the probe, which needs what it repairs.
    await checkKvmNode({
      fix: request.fix === true,
      needsGroup: () => needsKvmGroup(mukon.kvmAccess, hypervisor.qemu.path),
    }),
  ];
  if (probes.guest !== undefined) results.push(await checkGuest(probes.guest));
  if (probes.accelerator !== undefined) results.push(await checkAccelerator(probes.accelerator));
  results.push(
    checkIdRange(mukon),
    checkIdentityBackend(mukon.identityBackend),
    checkUserNamespaces(),
    await checkSharedFs(hypervisor.qemu),
    checkSeccomp(),
    checkLandlock(),
    checkCgroup(),
    await checkUserNetwork(),
  );
  return results;
}

async function checkAccelerator(
  probe: NonNullable<CheckProbes["accelerator"]>,
): Promise<CheckResult> {
  const name = "accelerator";
  try {
    const { accelerator, reason } = await probe();
    if (accelerator === "kvm") {
      return { name, status: "ok", message: "KVM runs a guest" };
    }
    return {
      name,
      status: "warning",
      message: `emulation (tcg), many times slower than KVM: ${reason}`,
      remedy: "run on hardware, or in a VM with nested virtualization, where /dev/kvm works",
    };
  } catch (error) {
    return failure(name, error, "see that QEMU and the guest image are there");
  }
}

async function checkGuest(probe: NonNullable<CheckProbes["guest"]>): Promise<CheckResult> {
  const name = "guest-image";
  try {
    return { name, status: "ok", message: await probe() };
  } catch (error) {
    return failure(name, error, "mukon guest build");
  }
}

function failure(name: string, error: unknown, remedy: string): CheckResult {
  const { message, hint } = asMukonError(error);
  return { name, status: "failed", message, remedy: hint ?? remedy };
}
