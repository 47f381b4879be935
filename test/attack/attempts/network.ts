// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { NO_ADDRESS, NO_PACKET, NO_SUCH_SOCKET } from "../passt-walls.ts";
import { call } from "../system.ts";
import type { Attempt } from "../types.ts";

const OWN_NETWORK = "a network namespace of its own, with nothing in it";
const [AF_UNIX, AF_INET, AF_NETLINK, AF_PACKET, AF_VSOCK] = [1, 2, 16, 17, 40];
const [SOCK_STREAM, SOCK_DGRAM, SOCK_RAW] = [1, 2, 3];
const NETLINK_SOCK_DIAG = 4;
const SOL_SOCKET = 1;
const SO_BROADCAST = 6;
const SO_SNDTIMEO = 21;
const SO_BINDTODEVICE = 25;
const EINPROGRESS = 115;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
/** Where clouds tell machines about themselves, keys included. */
const METADATA = "169.254.169.254";
const [HTTP, UNPUBLISHED] = [80, 39_217];

export const NETWORK: readonly Attempt[] = [
  {
    name: "reach a service of the host on 127.0.0.1",
    wall: OWN_NETWORK,
    refusals: ["ENETUNREACH", "ECONNREFUSED"],
    forPasst: NO_ADDRESS,
    run: ({ tcpPort }) => connect(AF_INET, addressOf("127.0.0.1", tcpPort)),
  },
  {
    name: "reach it at an address that the host has for others",
    wall: OWN_NETWORK,
    refusals: ["ENETUNREACH"],
    forPasst: NO_PACKET,
    run: ({ hostAddress, tcpPort }) => connect(AF_INET, addressOf(hostAddress, tcpPort)),
  },
  {
    name: "reach what a cloud tells its machines (169.254.169.254)",
    wall: OWN_NETWORK,
    refusals: ["ENETUNREACH"],
    forPasst: NO_ADDRESS,
    run: () => connect(AF_INET, addressOf(METADATA, HTTP)),
  },
  {
    name: "reach an abstract socket of the host",
    wall: OWN_NETWORK,
    refusals: ["ECONNREFUSED"],
    forPasst: NO_SUCH_SOCKET,
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
      onSocket(AF_INET, SOCK_STREAM, (socket) => call("ioctl", socket, SIOCSIFFLAGS, request));
    },
  },
  {
    ...forPasst("listen at a port of the host's that nobody has published", NO_ADDRESS),
    run: () => {
      const address = addressOf("0.0.0.0", UNPUBLISHED);
      onSocket(AF_INET, SOCK_STREAM, (socket) => call("bind", socket, address, address.length));
    },
  },
  {
    ...forPasst("send to all of a network at once", NO_ADDRESS),
    run: () => {
      const on = Buffer.from([1, 0, 0, 0]);
      onSocket(AF_INET, SOCK_DGRAM, (socket) =>
        call("setsockopt", socket, SOL_SOCKET, SO_BROADCAST, on, on.length),
      );
    },
  },
  {
    ...forPasst("choose the interface that its packets leave by", NO_ADDRESS),
    run: () => {
      const name = Buffer.from("lo\0");
      onSocket(AF_INET, SOCK_DGRAM, (socket) =>
        call("setsockopt", socket, SOL_SOCKET, SO_BINDTODEVICE, name, name.length),
      );
    },
  },
  {
    ...forPasst("list the host's connections", NO_SUCH_SOCKET),
    run: () => closeSync(call("socket", AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)),
  },
  {
    ...forPasst("talk to virtual machines (vsock)", NO_SUCH_SOCKET),
    run: () => closeSync(call("socket", AF_VSOCK, SOCK_STREAM, 0)),
  },
];

/** What would change nothing in an empty network namespace. */
function forPasst(name: string, wall: NonNullable<Attempt["forPasst"]>): Omit<Attempt, "run"> {
  return { ...wall, name, onlyFor: "passt" };
}

function addressOf(host: string, port: number): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set(host.split(".").map(Number), 4);
  return address;
}

/** Gives up after a second, which the host itself answers in a thousandth of. */
function connect(family: number, address: Buffer): void {
  const aSecond = Buffer.alloc(16);
  aSecond.writeBigUInt64LE(1n, 0);
  onSocket(family, SOCK_STREAM, (socket) => {
    call("setsockopt", socket, SOL_SOCKET, SO_SNDTIMEO, aSecond, aSecond.length);
    try {
      call("connect", socket, address, address.length);
    } catch (error) {
      const isOnItsWay = (error as { errno?: number }).errno === EINPROGRESS;
      throw isOnItsWay ? Object.assign(new Error(), { code: "SILENCE" }) : error;
    }
  });
}

function onSocket(family: number, type: number, work: (socket: number) => unknown): void {
  const socket = call("socket", family, type, 0);
  try {
    work(socket);
  } finally {
    closeSync(socket);
  }
}
