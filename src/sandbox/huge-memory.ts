// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { type HugePages, readHugePages } from "../linux/huge-pages.ts";

const KIB_PER_MIB = 1024;

/**
 * Sees that a guest's memory can be made of huge pages. The VMM takes them when it maps its memory,
 * all at once, so that a guest never finds one missing later; that they are still free by then,
 * nobody can promise, and then it is the VMM that says so.
 * @throws HUGE_PAGES_UNAVAILABLE
 */
export function assertHugePages(memoryMib: number, pages: HugePages = readHugePages()): void {
  const { sizeKib, free } = pages;
  if (sizeKib === 0) {
    throw unavailable("this kernel has no huge pages", "switch enable_hugepages off");
  }
  const memoryKib = memoryMib * KIB_PER_MIB;
  if (memoryKib % sizeKib !== 0) {
    throw unavailable(
      `${memoryMib} MiB of memory are no whole number of huge pages of ${sizeKib} KiB`,
      `give the pod a multiple of ${sizeKib / KIB_PER_MIB} MiB (--memory, default_memory)`,
    );
  }
  const needed = memoryKib / sizeKib;
  if (free >= needed) return;
  throw unavailable(
    `${needed} huge pages of ${sizeKib} KiB are needed, and ${free} are free`,
    `set ${needed - free} more aside, for example: sysctl vm.nr_hugepages=N; or give the pod less memory`,
  );
}

function unavailable(why: string, hint: string): MukonError {
  return new MukonError(
    "HUGE_PAGES_UNAVAILABLE",
    `The guest's memory cannot be made of huge pages: ${why}.`,
    { hint },
  );
}
