// SPDX-License-Identifier: Apache-2.0
import { formatError } from "../../errors/mukon-error.ts";
import { printNote } from "../output/print.ts";
import type { TaskClient } from "../shim/task-client.ts";

/** How a container has ended whose VM is gone, or one that chose this code itself. */
const LOST_STATUS = 255;

/** Says what became of a container of which only that is known that its VM has gone. */
export async function sayLoss(
  task: Pick<TaskClient, "whyLost">,
  ended: { id: string; status: number },
): Promise<void> {
  if (ended.status !== LOST_STATUS) return;
  const why = await task.whyLost(ended.id);
  if (why === undefined) return;
  printNote(`mukon: container ${ended.id} is lost: ${formatError(why)}`);
}
