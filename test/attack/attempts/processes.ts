// SPDX-License-Identifier: Apache-2.0
import { readdirSync } from "node:fs";
import { ENDS_PASST } from "../passt-walls.ts";
import { addressOf, call } from "../system.ts";
import type { Attempt } from "../types.ts";

const OWN_PIDS = "a pid namespace of its own: others have no number in there";
const PTRACE_ATTACH = 16;
const SIGKILL = 9;

export const PROCESSES: readonly Attempt[] = [
  each("signal other processes", (pid) => call("kill", pid, SIGKILL)),
  {
    ...each("trace other processes", (pid) => call("ptrace", PTRACE_ATTACH, pid, 0, 0)),
    forPasst: ENDS_PASST,
  },
  {
    ...each("read the memory of other processes", (pid) => {
      const memory = Buffer.alloc(16, 1);
      const vector = Buffer.alloc(16);
      vector.writeBigUInt64LE(addressOf(memory), 0);
      vector.writeBigUInt64LE(16n, 8);
      call("process_vm_readv", pid, vector, 1, vector, 1, 0);
    }),
    forPasst: ENDS_PASST,
  },
  each("hold other processes by descriptor", (pid) => call("pidfd_open", pid, 0)),
  {
    name: "see other processes: environment, descriptors, root",
    wall: OWN_PIDS,
    refusals: ["ENOENT"],
    run: ({ pids }) => {
      for (const pid of pids) {
        try {
          readdirSync(`/proc/${pid}`);
          return;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        }
      }
      throw Object.assign(new Error(), { code: "ENOENT" });
    },
  },
];

function each(name: string, run: (pid: number) => unknown): Attempt {
  return {
    ...{ name, wall: OWN_PIDS, refusals: ["ESRCH"] },
    run: ({ pids }) => {
      let refusal: unknown;
      for (const pid of pids) {
        try {
          run(pid);
          return;
        } catch (error) {
          refusal = error;
        }
      }
      throw refusal;
    },
  };
}
