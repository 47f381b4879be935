// SPDX-License-Identifier: Apache-2.0
import type { Attempt } from "./types.ts";

type Wall = NonNullable<Attempt["forPasst"]>;

/** What only an attacker would try. */
export const ENDS_PASST: Wall = { wall: "its filter ends it", refusals: ["SIGSYS"] };
/** What passt does to shut itself in, which has been done to it already. */
export const DOES_NOTHING: Wall = {
  wall: "its filter lets it do nothing",
  refusals: ["NOTHING"],
};
export const NO_SUCH_SOCKET: Wall = {
  wall: "its filter has sockets for the network alone",
  refusals: ["EPERM"],
};
export const NO_ADDRESS: Wall = { wall: "the BPF programs of its cgroup", refusals: ["EPERM"] };
/** Its packets get lost on their way, and whoever waits for an answer waits in vain. */
export const NO_PACKET: Wall = { ...NO_ADDRESS, refusals: ["SILENCE", "EPERM"] };
