// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { createSocketMap, linkProgram, loadProgram, putSocket } from "./bpf.ts";
import { instruction } from "./bpf-assembler.ts";

const BPF_PROG_TYPE_SK_LOOKUP = 30;
const BPF_SK_LOOKUP = 36;
const AF_INET = 2;
const IPPROTO_TCP = 6;
/** First byte of 127.0.0.0/8. */
const LOOPBACK = 127;
const SK_PASS = 1;
// Numbers of functions that the kernel has for programs.
const MAP_LOOKUP = 1;
const SOCKET_RELEASE = 86;
const SOCKET_ASSIGN = 124;
/** Offsets in `struct bpf_sk_lookup`. */
const CONTEXT = { family: 8, protocol: 12, localAddress: 40 };

/**
 * Has every TCP connection to 127.0.0.0/8 in a network namespace arrive at one listening socket of it,
 * whatever its port: the connection that is accepted has the address and port that were meant. Holds
 * as long as the descriptor that this returns is open, and ends with the process: nothing is left in
 * the namespace. Linux 5.9.
 * @throws SystemCallError
 */
export function catchLoopback(namespace: number, listener: number): number {
  const map = createSocketMap(1);
  try {
    putSocket(map, 0, listener);
    const kind = { programType: BPF_PROG_TYPE_SK_LOOKUP, attachType: BPF_SK_LOOKUP };
    const program = loadProgram(lookupProgram(map), kind);
    try {
      return linkProgram(program, namespace, BPF_SK_LOOKUP);
    } finally {
      closeSync(program);
    }
  } finally {
    closeSync(map);
  }
}

/** Registers: 0 results, 1 to 3 arguments, 6 the context, 7 the socket, 10 the stack's end. */
function lookupProgram(map: number): Buffer {
  const assign = [
    instruction(0x62, { to: 10, offset: -4 }), // key: the first entry
    instruction(0x18, { to: 1, from: 1, value: map }), // the map by its descriptor
    instruction(0x00, {}),
    instruction(0xbf, { to: 2, from: 10 }),
    instruction(0x07, { to: 2, value: -4 }),
    instruction(0x85, { value: MAP_LOOKUP }),
    instruction(0x15, { to: 0, offset: 7 }), // none: over the rest
    instruction(0xbf, { to: 7, from: 0 }),
    instruction(0xbf, { to: 1, from: 6 }),
    instruction(0xbf, { to: 2, from: 7 }),
    instruction(0xb7, { to: 3 }),
    instruction(0x85, { value: SOCKET_ASSIGN }),
    instruction(0xbf, { to: 1, from: 7 }),
    instruction(0x85, { value: SOCKET_RELEASE }),
  ];
  const isLoopback = [
    instruction(0x54, { to: 2, value: 0xff }), // first byte of the address, in network order
    instruction(0x55, { to: 2, value: LOOPBACK, offset: assign.length }),
  ];
  const isTcp = [
    instruction(0x61, { to: 2, from: 6, offset: CONTEXT.protocol }),
    instruction(0x55, { to: 2, value: IPPROTO_TCP, offset: 3 + assign.length }),
    instruction(0x61, { to: 2, from: 6, offset: CONTEXT.localAddress }),
  ];
  return Buffer.concat([
    instruction(0xbf, { to: 6, from: 1 }),
    instruction(0x61, { to: 2, from: 6, offset: CONTEXT.family }),
    instruction(0x55, { to: 2, value: AF_INET, offset: 5 + assign.length }),
    ...isTcp,
    ...isLoopback,
    ...assign,
    instruction(0xb7, { to: 0, value: SK_PASS }),
    instruction(0x95, {}),
  ]);
}
