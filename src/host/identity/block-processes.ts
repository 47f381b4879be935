// SPDX-License-Identifier: Apache-2.0
import {
  listProcesses,
  type ProcessStatus,
  readProcessStatus,
} from "../../linux/process-status.ts";
import { isRunning } from "../journal/liveness.ts";
import { ID_BLOCK_SIZE } from "./types.ts";

/** Every process that runs with a user or group id out of one of these blocks. */
export function processesOfBlocks(numbers: readonly number[]): ProcessStatus[] {
  if (numbers.length === 0) return [];
  const blocks = new Set(numbers);
  const isInside = (id: number): boolean => blocks.has(Math.floor(id / ID_BLOCK_SIZE));
  return listProcesses()
    .map((pid) => readProcessStatus(pid))
    .filter((status) => status !== undefined)
    .filter(({ uids, gids, groups }) => [...uids, ...gids, ...groups].some(isInside))
    .filter(isRunning);
}
