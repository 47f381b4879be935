// SPDX-License-Identifier: Apache-2.0
import type { WantedKvmAccess } from "./kvm-access.ts";
import type { Accelerator } from "./launch-input.ts";

/** What the choice of an accelerator depends on. */
export interface ProbeRequest {
  /** What the configuration asks for. */
  wanted: "auto" | Accelerator;
  kvmAccess: WantedKvmAccess;
  qemuPath: string;
  kernelPath: string;
  initrdPath: string;
  cpuFeatures?: string;
  timeoutMs?: number;
  /** Where the answer is kept until the next boot; none: it is not kept. */
  cachePath?: string;
  /** For tests; default: /dev/kvm. */
  kvmPath?: string;
}
