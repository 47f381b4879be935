// SPDX-License-Identifier: Apache-2.0
import { SocketAddress } from "node:net";
import { readField } from "../cgroup/control.ts";
import { AgentError, Status } from "../errors.ts";
import { attribute, changeNetwork } from "../native/netlink.ts";
import type { Infer } from "../protobuf/field.ts";
import { type ArpNeighbor, Family } from "../schema/types.ts";
import { checkAddress, checkName, NET_DIRECTORY } from "./interfaces.ts";

export type NeighbourSpec = Infer<typeof ArpNeighbor>;

// rtnetlink(7) and linux/neighbour.h.
const RTM_NEWNEIGH = 28;
const CREATE_OR_REPLACE = 0x400 | 0x100;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_PERMANENT = 0x80;
const AF_INET = 2;
const AF_INET6 = 10;

/** Makes known who has an address, for the neighbours that do not answer when they are asked. */
export function addNeighbours(neighbours: readonly NeighbourSpec[]): void {
  for (const neighbour of neighbours) {
    const errno = changeNetwork(RTM_NEWNEIGH, CREATE_OR_REPLACE, neighbourMessage(neighbour));
    if (errno === 0) continue;
    const address = neighbour.toIpAddress?.address ?? "";
    throw new AgentError(Status.internal, `neighbour ${address}: error ${errno} of the kernel`);
  }
}

/** struct ndmsg and its attributes. */
export function neighbourMessage(
  neighbour: NeighbourSpec,
  indexOf: (device: string) => number = interfaceIndex,
): Buffer {
  const { toIpAddress, device, lladdr, state, flags } = neighbour;
  const isIpv6 = toIpAddress?.family === Family.v6;
  const message = Buffer.alloc(12);
  message.writeUInt8(isIpv6 ? AF_INET6 : AF_INET, 0);
  message.writeInt32LE(indexOf(checkName(device)), 4);
  message.writeUInt16LE(state === 0 ? NUD_PERMANENT : state & 0xffff, 8);
  message.writeUInt8(flags & 0xff, 10);
  return Buffer.concat([
    message,
    attribute(NDA_DST, addressBytes(checkAddress(toIpAddress?.address ?? ""), isIpv6)),
    attribute(NDA_LLADDR, hardwareBytes(lladdr)),
  ]);
}

function interfaceIndex(device: string): number {
  const index = Number(readField(`${NET_DIRECTORY}/${device}/ifindex`));
  if (Number.isSafeInteger(index) && index > 0) return index;
  throw new AgentError(Status.notFound, `Link not found (Name: ${device})`);
}

function hardwareBytes(text: string): Buffer {
  if (/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(text)) {
    return Buffer.from(text.replaceAll(":", ""), "hex");
  }
  throw new AgentError(Status.invalidArgument, `"${text.slice(0, 40)}" is no hardware address`);
}

/** In the order of the network. */
export function addressBytes(address: string, isIpv6: boolean): Buffer {
  if (!isIpv6) {
    const parts = address.split(".").map(Number);
    if (parts.length === 4 && parts.every((part) => part >= 0 && part <= 255)) {
      return Buffer.from(parts);
    }
    throw new AgentError(Status.invalidArgument, `"${address}" is no IPv4 address`);
  }
  return ipv6Bytes(address);
}

function ipv6Bytes(address: string): Buffer {
  let plain: string;
  try {
    plain = new SocketAddress({ family: "ipv6", address }).address;
  } catch {
    throw new AgentError(Status.invalidArgument, `"${address}" is no IPv6 address`);
  }
  const [head = "", tail = ""] = plain.split("::");
  const words = (text: string): number[] =>
    text === "" ? [] : text.split(":").flatMap((word) => wordsOf(word));
  const before = words(head);
  const after = words(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [index, word] of [...before, ...zeros, ...after].entries()) {
    bytes.writeUInt16BE(word, index * 2);
  }
  return bytes;
}

/** The last part may be written as an IPv4 address, which stands for two words. */
function wordsOf(text: string): number[] {
  if (!text.includes(".")) return [Number.parseInt(text, 16)];
  const bytes = addressBytes(text, false);
  return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
}
