// SPDX-License-Identifier: Apache-2.0
import { randomInt } from "node:crypto";

/** `MUKON_TEST_SEED` repeats a run. */
const SEED = Number(process.env.MUKON_TEST_SEED ?? randomInt(2 ** 31));
/** How many of what is only chosen from, in multiples of what a usual run takes. */
const MANY = Number(process.env.MUKON_TEST_KILLS ?? 1);

/** For the report of a test: how to have the same choices again. */
export const REPEAT = `MUKON_TEST_SEED=${SEED} MUKON_TEST_KILLS=${MANY}`;

let state = SEED >>> 0;

/** Out of `all`, some that a seed decides, in their order: `count`, or MUKON_TEST_KILLS times that. */
export function chooseSome<Item>(all: readonly Item[], count: number): Item[] {
  const left = [...all.keys()];
  while (left.length > count * MANY) left.splice(next(left.length), 1);
  return left.map((index) => all[index] as Item);
}

/** Numerical Recipes' generator: its upper bits are good enough to choose by. */
function next(limit: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}
