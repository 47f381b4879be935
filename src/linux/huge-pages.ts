// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

/** The huge pages of the host's usual size that are set aside (proc_meminfo(5)). */
export interface HugePages {
  /** 0: this kernel has none. */
  sizeKib: number;
  /** Neither in use, nor promised to somebody who has mapped them already. */
  free: number;
}

export function readHugePages(meminfo = readFileSync("/proc/meminfo", "utf8")): HugePages {
  const value = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(meminfo)?.[1] ?? 0);
  return {
    sizeKib: value("Hugepagesize"),
    free: Math.max(0, value("HugePages_Free") - value("HugePages_Rsvd")),
  };
}
