// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import type { QmpClient } from "./qmp/client.ts";

const MAX_PROCESSORS = 1024;
const Number16 = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff));

/** Every processor that the machine can have; those that it has are known by a path of QEMU's. */
const Processors = v.pipe(
  v.array(
    v.object({
      type: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]{1,64}$/)),
      props: v.intersect([
        v.object({ "core-id": Number16 }),
        v.record(
          v.picklist([
            "core-id",
            "thread-id",
            "socket-id",
            "die-id",
            "cluster-id",
            "module-id",
            "node-id",
          ]),
          Number16,
        ),
      ]),
      "qom-path": v.optional(v.string()),
    }),
  ),
  v.maxLength(MAX_PROCESSORS),
);

/**
 * Plugs processors into a running machine, the next of those that its table names; the guest's kernel
 * can start them from then on. Returns how many the machine has.
 * Errors: `VMM_PROCESSORS_REFUSED`, and those of {@link QmpClient}.
 */
export async function plugProcessors(
  qmp: Pick<QmpClient, "execute">,
  { count, timeoutMs }: { count: number; timeoutMs: number },
): Promise<number> {
  const known = v.safeParse(Processors, await qmp.execute("query-hotpluggable-cpus"));
  if (!known.success) throw refused("what QEMU says of them makes no sense");
  const all = known.output.toSorted((one, other) => one.props["core-id"] - other.props["core-id"]);
  const missing = all.filter((one) => one["qom-path"] === undefined);
  if (missing.length < count) throw refused(`there is room for ${missing.length}`);
  for (const { type, props } of missing.slice(0, count)) {
    const device = { driver: type, id: `processor${props["core-id"]}`, ...props };
    await qmp.execute("device_add", device, { timeoutMs }).catch((error: unknown) => {
      const isRefused = error instanceof MukonError && error.code === "QMP_COMMAND_FAILED";
      throw isRefused ? refused(error.message) : error;
    });
  }
  return all.length - missing.length + count;

  function refused(why: string): MukonError {
    return new MukonError(
      "VMM_PROCESSORS_REFUSED",
      `The machine does not take ${count} further processors: ${why}`,
      { hint: "Give every pod that many from the start, with default_vcpus, or ask for fewer." },
    );
  }
}
