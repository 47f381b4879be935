// SPDX-License-Identifier: Apache-2.0
import { randomInt } from "node:crypto";
import { lstatSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { identitiesDirectory } from "../../linux/paths.ts";
import { ID_BLOCK_SIZE, type IdentityConfiguration } from "./types.ts";

/** A block that is taken: a link `identities/<number>` that leads to the name of its sandbox. */
export interface TakenBlock {
  number: number;
  owner: string;
}

/** Whole blocks of the configured range. @throws ID_RANGE_INVALID */
export function blocksOf(range: Pick<IdentityConfiguration, "idRangeStart" | "idRangeEnd">): {
  first: number;
  count: number;
} {
  const first = Math.ceil(range.idRangeStart / ID_BLOCK_SIZE);
  const count = Math.floor(range.idRangeEnd / ID_BLOCK_SIZE) - first;
  if (first < 1 || count < 1) {
    throw new MukonError(
      "ID_RANGE_INVALID",
      `the ids from ${range.idRangeStart} to ${range.idRangeEnd} hold no whole block of ${ID_BLOCK_SIZE}`,
      { hint: "set id_range_start and id_range_end in [mukon] to multiples of 65536, far apart" },
    );
  }
  return { first, count };
}

/** All blocks once, from a random one on: ids that come back soon would meet leftovers. */
export function* candidateBlocks(
  range: Pick<IdentityConfiguration, "idRangeStart" | "idRangeEnd">,
  pickStart: (count: number) => number = (count) => randomInt(count),
): Generator<number> {
  const { first, count } = blocksOf(range);
  const start = pickStart(count);
  for (let step = 0; step < count; step += 1) yield first + ((start + step) % count);
}

/** Takes a block for a sandbox; false when it is taken. A link is made whole or not at all. */
export function claimBlock(number: number, owner: string): boolean {
  try {
    symlinkSync(owner, blockPath(number));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Undefined when nobody has it. */
export function ownerOfBlock(number: number): string | undefined {
  try {
    return readlinkSync(blockPath(number));
  } catch {
    return undefined;
  }
}

/** Gives a block back, if this sandbox has it; false when not. */
export function freeBlock(number: number, owner: string): boolean {
  if (ownerOfBlock(number) !== owner) return false;
  rmSync(blockPath(number), { force: true });
  return true;
}

export function listBlocks(): TakenBlock[] {
  let names: string[];
  try {
    names = readdirSync(identitiesDirectory());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const blocks: TakenBlock[] = [];
  for (const name of names) {
    const number = Number(name);
    const owner = /^\d+$/.test(name) ? ownerOfBlock(number) : undefined;
    if (owner !== undefined) blocks.push({ number, owner });
  }
  return blocks;
}

/** When the block was taken, in ms since the epoch; undefined when it is free. */
export function blockTakenAtMs(number: number): number | undefined {
  return lstatSync(blockPath(number), { throwIfNoEntry: false })?.mtimeMs;
}

function blockPath(number: number): string {
  return join(identitiesDirectory(), String(number));
}
