// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import type { QmpClient } from "./qmp/client.ts";

const NAME = "extra-memory";
const BYTES_PER_MIB = 1024 * 1024;
/** Linux adds memory in blocks that begin at multiples of their size, up to 2 GiB on large machines. */
const ALIGNMENT_BYTES = 1024 * BYTES_PER_MIB;
/** Physical addresses have 52 bits at most. */
const MAX_ADDRESS = 2 ** 52;
/** What a guest has done with a device (ACPI 6.5, 6.3.5, _OST): 0 is "it is in use". */
const Answer = v.object({
  info: v.object({ device: v.literal(NAME), status: v.number() }),
});

const Size = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(MAX_ADDRESS));
/** What lies in the address space of memory devices: memory, and the guest image (virtio-pmem). */
const MemoryDevices = v.pipe(
  v.array(
    v.object({
      data: v.object({ addr: v.optional(Size), memaddr: v.optional(Size), size: Size }),
    }),
  ),
  v.maxLength(16),
);

type Machine = Pick<QmpClient, "execute" | "onEvent">;

/**
 * Plugs memory into a running machine, and waits until the guest's kernel says that it has it. It is a
 * file in memory of QEMU's own, as a vhost-user device must be able to map it too.
 * Errors: `VMM_MEMORY_REFUSED`, and those of {@link QmpClient}.
 */
export async function plugMemory(
  qmp: Machine,
  options: { mib: number; timeoutMs: number },
): Promise<void> {
  const answer = guestsAnswer(qmp, options.timeoutMs);
  try {
    await qmp.execute("object-add", {
      "qom-type": "memory-backend-memfd",
      id: NAME,
      size: options.mib * BYTES_PER_MIB,
      share: true,
    });
    const addr = await freeAddress(qmp);
    await qmp.execute("device_add", {
      ...{ driver: "pc-dimm", id: NAME, memdev: NAME },
      ...(addr === undefined ? {} : { addr }),
    });
    const status = await answer.promise;
    if (status !== 0) throw refused(`its kernel does not take them (ACPI status ${status})`);
  } catch (error) {
    if (error instanceof MukonError && error.code !== "QMP_COMMAND_FAILED") throw error;
    throw refused(error instanceof Error ? error.message : String(error));
  } finally {
    answer.stop();
  }

  function refused(why: string): MukonError {
    return new MukonError(
      "VMM_MEMORY_REFUSED",
      `The guest did not get its further ${options.mib} MiB of memory: ${why}`,
      { hint: "Give every pod that much from the start, with default_memory, or ask for less." },
    );
  }
}

/**
 * QEMU would put the memory right behind the guest image, at an address that is no block's first:
 * Linux says that it has taken such memory, and does not. None: nothing is there yet, and QEMU begins
 * at a round address.
 */
async function freeAddress(qmp: Machine): Promise<number | undefined> {
  const answer = v.safeParse(MemoryDevices, await qmp.execute("query-memory-devices"));
  if (!answer.success) throw new Error("what QEMU says of its memory makes no sense");
  const ends = answer.output.map(({ data }) => (data.addr ?? data.memaddr ?? 0) + data.size);
  if (ends.length === 0) return undefined;
  return Math.ceil(Math.max(...ends) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

function guestsAnswer(
  qmp: Machine,
  timeoutMs: number,
): { promise: Promise<number>; stop: () => void } {
  let stop = (): void => {};
  const promise = new Promise<number>((resolve, reject) => {
    const stopListening = qmp.onEvent(({ name, data }) => {
      const answer = v.safeParse(Answer, data);
      if (name === "ACPI_DEVICE_OST" && answer.success) resolve(answer.output.info.status);
    });
    const timer = setTimeout(
      () => reject(new Error(`its kernel did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    stop = () => {
      stopListening();
      clearTimeout(timer);
    };
  });
  // The command itself may fail first; then nobody waits any more.
  promise.catch(() => {});
  return { promise, stop };
}
