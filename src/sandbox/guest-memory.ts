// SPDX-License-Identifier: Apache-2.0
import { constants, openSync } from "node:fs";
import { sizedMemory } from "../linux/memory-file.ts";
import { copyExtents } from "../linux/sparse-file.ts";
import { assertHugePages } from "./huge-memory.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";
import type { TemplateMemory } from "./template/sharing.ts";
import type { OpenTemplate } from "./template/store.ts";

const BYTES_PER_MIB = 1024 * 1024;
const NAME = "guest-memory";

/** What a guest's memory is made of, see the launch plan. */
export interface GuestMemory {
  kind: "own" | "template";
  descriptor: number;
  /** Resolves when all is in it that the guest is to find there; before that it must not run. */
  filled: Promise<void>;
}

export interface MemoryRequest {
  memoryMib: number;
  /** It is made of huge pages: {@link assertHugePages}. Such a guest is no clone. */
  isHuge?: boolean;
  /** The user of the VMM. */
  owner: { uid: number; gid: number };
  /** What it is a clone of, and how it comes by its memory. */
  template: (OpenTemplate & { memoryMode: TemplateMemory }) | undefined;
  /** Takes over the memory's descriptor. */
  descriptors: OwnedDescriptors;
}

/**
 * Memory for a guest: empty; or, for a clone, its own copy of the template's, or the template's,
 * of which the VMM has a private view.
 * @throws HUGE_PAGES_UNAVAILABLE
 */
export function guestMemory(request: MemoryRequest): GuestMemory {
  const { template, descriptors } = request;
  if (template?.memoryMode === "shared") {
    return { kind: "template", descriptor: template.memory, filled: Promise.resolve() };
  }
  const isHuge = request.isHuge === true;
  if (isHuge) assertHugePages(request.memoryMib);
  const { owner } = request;
  const sizeBytes = request.memoryMib * BYTES_PER_MIB;
  const descriptor = descriptors.own(sizedMemory(sizeBytes, { name: NAME, owner, isHuge }));
  const filled =
    template === undefined ? Promise.resolve() : copyExtents(template.memory, descriptor);
  return { kind: "own", descriptor, filled };
}

/**
 * Keeps memory that the guest's VMM is about to be given readable for the caller, who closes it.
 * It is there for as long as this is open, whatever becomes of the VMM.
 */
export function keepReadable(memory: GuestMemory): number {
  return openSync(`/proc/self/fd/${memory.descriptor}`, constants.O_RDONLY);
}
