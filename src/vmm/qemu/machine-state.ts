// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import type { Disks } from "./disks.ts";
import type { QmpClient } from "./qmp/client.ts";

const POLL_MS = 5;
const SECTOR_BYTES = 512;
/** QEMU holds back by default, for the sake of a guest that still runs; this one does not. */
const NO_LIMIT_BYTES_PER_SECOND = 2 ** 40;
const STATE_NAME = "state";
const MAX_REASON_CHARACTERS = 300;
/** What is mapped from a file for reading, the guest image, is neither saved nor overwritten. */
const CAPABILITIES = [{ capability: "x-ignore-shared", state: true }];

const Progress = v.object({
  status: v.optional(v.pipe(v.string(), v.maxLength(40))),
  "error-desc": v.optional(v.string()),
});

/** What happens to a machine right before its state is saved. */
interface StoppedChange {
  whileRunning(): Promise<void>;
  /** What the guest is told of it is in the saved state, and heard by every clone first of all. */
  whenStopped(): Promise<void>;
}

/**
 * Has the guest of every clone look at what is in its bay: the last it heard of the disk there is that
 * its size changes, once when that could still be learnt, and once more when it had stopped.
 */
export function changeInBay(disks: Pick<Disks, "resize">, diskId: string): StoppedChange {
  return {
    whileRunning: async () => {
      await disks.resize(diskId, SECTOR_BYTES);
      await disks.resize(diskId, 0);
    },
    whenStopped: () => disks.resize(diskId, SECTOR_BYTES),
  };
}

type Command = Pick<QmpClient, "execute">;

/**
 * Stops the machine and writes its memory and devices to `descriptor`, which QEMU gets a copy of.
 * Errors: `VMM_STATE_FAILED` and those of {@link QmpClient}.
 */
export async function saveMachineState(
  qmp: Command,
  options: { descriptor: number; timeoutMs: number; change?: StoppedChange | undefined },
): Promise<void> {
  const { descriptor, timeoutMs, change } = options;
  await change?.whileRunning();
  await qmp.execute("stop", {}, { timeoutMs });
  await change?.whenStopped();
  await qmp.execute("migrate-set-capabilities", { capabilities: CAPABILITIES });
  await qmp.execute("migrate-set-parameters", { "max-bandwidth": NO_LIMIT_BYTES_PER_SECOND });
  await qmp.execute("getfd", { fdname: STATE_NAME }, { descriptor });
  await qmp.execute("migrate", { uri: `fd:${STATE_NAME}` });
  await untilCompleted(qmp, "save", timeoutMs);
}

/**
 * Fills a machine that was started with `-incoming defer` from a descriptor that QEMU has
 * inherited under this number. The machine stays stopped. A state that does not fit makes QEMU end
 * itself, or say so: `VMM_STATE_FAILED`, or one of {@link QmpClient}'s.
 */
export async function loadMachineState(
  qmp: Command,
  options: { inheritedDescriptor: number; timeoutMs: number },
): Promise<void> {
  await qmp.execute("migrate-set-capabilities", { capabilities: CAPABILITIES });
  const uri = `fd:${options.inheritedDescriptor}`;
  await qmp.execute("migrate-incoming", { uri }, { timeoutMs: options.timeoutMs });
  await untilCompleted(qmp, "load", options.timeoutMs);
}

async function untilCompleted(
  qmp: Command,
  what: "save" | "load",
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = Math.max(1, Math.ceil(deadline - performance.now()));
    const answer = v.safeParse(
      Progress,
      await qmp.execute("query-migrate", {}, { timeoutMs: left }),
    );
    if (!answer.success) throw failed(what, "what it says of it makes no sense");
    const { status } = answer.output;
    if (status === "completed") return;
    if (status === "failed" || status === "cancelled") {
      throw failed(what, answer.output["error-desc"] ?? status);
    }
    if (performance.now() > deadline) throw failed(what, `it took over ${timeoutMs} ms`);
    await delay(POLL_MS);
  }
}

function failed(what: string, why: string): MukonError {
  return new MukonError(
    "VMM_STATE_FAILED",
    `QEMU did not ${what} the machine's state: ${why.slice(0, MAX_REASON_CHARACTERS)}`,
  );
}
