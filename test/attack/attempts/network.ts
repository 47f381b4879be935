// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { call } from "../system.ts";
import type { Attempt } from "../types.ts";

const OWN_NETWORK = "a network namespace of its own, with nothing in it";
const [AF_UNIX, AF_INET, AF_PACKET] = [1, 2, 17];
const [SOCK_STREAM, SOCK_RAW] = [1, 3];
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;

export const NETWORK: readonly Attempt[] = [
  {
    name: "reach a service of the host on 127.0.0.1",
    wall: OWN_NETWORK,
    refusals: ["ENETUNREACH", "ECONNREFUSED"],
    run: ({ tcpPort }) => {
      const address = Buffer.alloc(16);
      address.writeUInt16LE(AF_INET, 0);
      address.writeUInt16BE(tcpPort, 2);
      address.set([127, 0, 0, 1], 4);
      connect(AF_INET, address);
    },
  },
  {
    name: "reach an abstract socket of the host",
    wall: OWN_NETWORK,
    refusals: ["ECONNREFUSED"],
    run: ({ abstractSocket }) => {
      const name = Buffer.from(`\0${abstractSocket}`);
      const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), name]);
      connect(AF_UNIX, address);
    },
  },
  {
    name: "send raw frames",
    wall: "no capability",
    refusals: ["EPERM"],
    run: () => closeSync(call("socket", AF_PACKET, SOCK_RAW, 0)),
  },
  {
    name: "bring an interface up",
    wall: "no capability",
    refusals: ["EPERM"],
    run: () => {
      const request = Buffer.alloc(40);
      request.write("lo");
      request.writeUInt16LE(IFF_UP, 16);
      const socket = call("socket", AF_INET, SOCK_STREAM, 0);
      try {
        call("ioctl", socket, SIOCSIFFLAGS, request);
      } finally {
        closeSync(socket);
      }
    },
  },
];

function connect(family: number, address: Buffer): void {
  const socket = call("socket", family, SOCK_STREAM, 0);
  try {
    call("connect", socket, address, address.length);
  } finally {
    closeSync(socket);
  }
}
