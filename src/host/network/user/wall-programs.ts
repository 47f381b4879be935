// SPDX-License-Identifier: Apache-2.0
import { assemble, CODES, end, instruction, type Line } from "../../../linux/bpf-assembler.ts";
import { DEVICE_PROGRAM, deviceProgram } from "../../cgroups/device-program.ts";
import { JAIL_DEVICES } from "../../cgroups/device-rules.ts";
import type { PublishedPort } from "./published-port.ts";

/** A program for a cgroup: struct and numbers are those of linux/bpf.h. */
export interface WallProgram {
  name: string;
  programType: number;
  attachType: number;
  code: Buffer;
}

const TYPES = { packet: 8, socket: 9, address: 18, option: 25 };
const ALLOW = 1;
const REFUSE = 0;
const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 };
/** Offsets in struct bpf_sock_addr. */
const ADDRESS = { ipv4: 4, ipv6: 8, port: 24, protocol: 36 };
/** Offsets in struct __sk_buff. */
const PACKET = { protocol: 16, interface: 40 };
/** Offset in struct bpf_sock. */
const SOCKET_PROTOCOL = 12;
/** Offsets in struct bpf_sockopt. */
const OPTION = { level: 24, name: 28 };
const SOL_SOCKET = 1;
/** SO_BROADCAST; SO_BINDTODEVICE and SO_BINDTOIFINDEX, with which another way to the host is chosen. */
const REFUSED_OPTIONS = [6, 25, 62];
/** The loopback interface is the first one of every network namespace. */
const LOOPBACK_INTERFACE = 1;
const LOAD_BYTES = 26;
const TCP_FLAGS_OFFSET = 13;
const SYN = 0x02;
const SYN_OR_ACK = 0x12;

/**
 * What stands between passt and the host that it runs on, whoever has taken it over. Sockets are for
 * TCP, UDP and echo requests. They cannot be connected to what {@link refuseIpv4} and
 * {@link refuseIpv6} name. They listen where a port is published and nowhere else. And whatever they
 * were told, no packet of theirs leaves by the loopback interface, which is the only way to any
 * address of the host's own, but those that answer a TCP connection which somebody else has begun. And there
 * are no devices but those of a jail.
 */
export function wallPrograms(ports: readonly PublishedPort[]): WallProgram[] {
  const toIpv4 = assemble([...loadIpv4(), ...refuseIpv4(-16), ...verdicts()]);
  const toIpv6 = assemble([...loadIpv6(), ...refuseIpv6(-16), ...verdicts()]);
  const program = (name: string, types: [number, number], code: Buffer): WallProgram => ({
    ...{ name, programType: types[0], attachType: types[1], code },
  });
  return [
    program("packets", [TYPES.packet, 1], packets()),
    program("sockets", [TYPES.socket, 2], sockets()),
    program("bind, IPv4", [TYPES.address, 8], binding(4, ports)),
    program("bind, IPv6", [TYPES.address, 9], binding(6, ports)),
    program("connect, IPv4", [TYPES.address, 10], toIpv4),
    program("connect, IPv6", [TYPES.address, 11], toIpv6),
    program("sendmsg, IPv4", [TYPES.address, 14], toIpv4),
    program("sendmsg, IPv6", [TYPES.address, 15], toIpv6),
    program("options", [TYPES.option, 22], options()),
    { name: "devices", ...DEVICE_PROGRAM, code: deviceProgram(JAIL_DEVICES) },
  ];
}

function verdicts(): Line[] {
  return [...end(ALLOW), "refuse", ...end(REFUSE)];
}

/** Copies the address that is meant to the stack, the end of which is in register 10. */
function loadIpv4(): Line[] {
  return copyWord(ADDRESS.ipv4, -16);
}

function loadIpv6(): Line[] {
  return [0, 4, 8, 12].flatMap((at) => copyWord(ADDRESS.ipv6 + at, at - 16));
}

function copyWord(from: number, to: number): Line[] {
  return [
    instruction(CODES.load32, { to: 2, from: 1, offset: from }),
    instruction(CODES.store32, { to: 10, from: 2, offset: to }),
  ];
}

function loadByte(at: number): Line {
  return instruction(CODES.load8, { to: 2, from: 10, offset: at });
}

function loadWord(at: number): Line {
  return instruction(CODES.load32, { to: 2, from: 10, offset: at });
}

function whenEqual(value: number, label: string): Line {
  return { jump: CODES.jumpEqual, to: 2, value, label };
}

function unlessEqual(value: number, label: string): Line {
  return { jump: CODES.jumpUnequal, to: 2, value, label };
}

/** "This host", loopback, link-local (where clouds have their metadata), multicast, broadcast. */
function refuseIpv4(at: number): Line[] {
  const isOther = `ipv4 ${at}`;
  return [
    loadByte(at),
    ...[whenEqual(0, "refuse"), whenEqual(127, "refuse")],
    { jump: CODES.jumpAtLeast, to: 2, value: 224, label: "refuse" },
    unlessEqual(169, isOther),
    ...[loadByte(at + 1), whenEqual(254, "refuse")],
    isOther,
  ];
}

/**
 * Unspecified, loopback, link-local, multicast, the metadata of a cloud that has an address of its
 * own for it; addresses that have one of IPv4 in them are looked at as such.
 */
function refuseIpv6(at: number): Line[] {
  return [
    ...[loadWord(at), whenEqual(networkWord(0xfd00_0ec2), "refuse")],
    ...[whenEqual(networkWord(0x0064_ff9b), "translated"), unlessEqual(0, "plain")],
    ...[loadWord(at + 4), unlessEqual(0, "plain")],
    // ::/96 has :: and ::1, and nothing else that is in use.
    ...[loadWord(at + 8), whenEqual(0, "refuse"), unlessEqual(networkWord(0xffff), "plain")],
    { jump: CODES.jump, label: "embedded" },
    "translated",
    ...[loadWord(at + 4), unlessEqual(0, "plain"), loadWord(at + 8), unlessEqual(0, "plain")],
    "embedded",
    ...refuseIpv4(at + 12),
    { jump: CODES.jump, label: "ipv6 is other" },
    "plain",
    ...[loadByte(at), whenEqual(0xff, "refuse"), unlessEqual(0xfe, "ipv6 is other")],
    loadByte(at + 1),
    instruction(CODES.and, { to: 2, value: 0xc0 }),
    whenEqual(0x80, "refuse"),
    "ipv6 is other",
  ];
}

/** A number of 32 bits in network order, as it is read from memory. */
function networkWord(value: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes.readInt32LE();
}

function networkPort(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}

function sockets(): Buffer {
  return assemble([
    instruction(CODES.load32, { to: 2, from: 1, offset: SOCKET_PROTOCOL }),
    ...Object.values(PROTOCOLS).map((protocol) => whenEqual(protocol, "allow")),
    ...end(REFUSE),
    "allow",
    ...end(ALLOW),
  ]);
}

function options(): Buffer {
  return assemble([
    instruction(CODES.load32, { to: 2, from: 1, offset: OPTION.level }),
    unlessEqual(SOL_SOCKET, "allow"),
    instruction(CODES.load32, { to: 2, from: 1, offset: OPTION.name }),
    ...REFUSED_OPTIONS.map((name) => whenEqual(name, "refuse")),
    "allow",
    ...verdicts(),
  ]);
}

/**
 * A published port at its address, or whatever port the kernel has to spare. For a datagram, passt asks
 * for the port that the guest has sent it from; it gets another one, so that no guest holds a port of the
 * host's.
 */
function binding(family: 4 | 6, ports: readonly PublishedPort[]): Buffer {
  // All that can be published has an address of IPv4.
  const published = (family === 4 ? ports : []).flatMap((port, index) => bindingTo(port, index));
  return assemble([
    instruction(CODES.load32, { to: 2, from: 1, offset: ADDRESS.port }),
    whenEqual(0, "allow"),
    ...published,
    instruction(CODES.load32, { to: 2, from: 1, offset: ADDRESS.protocol }),
    unlessEqual(PROTOCOLS.udp, "refuse"),
    instruction(CODES.set, { to: 3, value: 0 }),
    instruction(CODES.store32, { to: 1, from: 3, offset: ADDRESS.port }),
    "allow",
    ...verdicts(),
  ]);
}

function bindingTo({ hostAddress, hostPort, protocol }: PublishedPort, index: number): Line[] {
  const isOther = `port ${index}`;
  const bytes = Buffer.from(hostAddress.split(".").map(Number));
  return [
    instruction(CODES.load32, { to: 2, from: 1, offset: ADDRESS.port }),
    unlessEqual(networkPort(hostPort), isOther),
    instruction(CODES.load32, { to: 2, from: 1, offset: ADDRESS.protocol }),
    unlessEqual(PROTOCOLS[protocol], isOther),
    instruction(CODES.load32, { to: 2, from: 1, offset: ADDRESS.ipv4 }),
    whenEqual(bytes.readInt32LE(), "allow"),
    isOther,
  ];
}

/** The last word, at the way out, about what the packet says rather than what the socket was told. */
function packets(): Buffer {
  const ETHERTYPES = { ipv4: networkPort(0x0800), ipv6: networkPort(0x86dd) };
  return assemble([
    instruction(CODES.move, { to: 6, from: 1 }),
    instruction(CODES.load32, { to: 7, from: 6, offset: PACKET.interface }),
    instruction(CODES.load32, { to: 2, from: 6, offset: PACKET.protocol }),
    whenEqual(ETHERTYPES.ipv4, "ipv4"),
    unlessEqual(ETHERTYPES.ipv6, "refuse"),
    // The fixed header; protocol and address follow from its start.
    ...readPacket({ offset: 0, length: 40, to: -40 }),
    { jump: CODES.jumpEqual, to: 7, value: LOOPBACK_INTERFACE, label: "loopback, ipv6" },
    ...refuseIpv6(-16),
    { jump: CODES.jump, label: "allow" },
    "loopback, ipv6",
    ...[loadByte(-34), unlessEqual(PROTOCOLS.tcp, "refuse")],
    ...refuseFirstSegment(40),
    { jump: CODES.jump, label: "allow" },
    "ipv4",
    ...readPacket({ offset: 0, length: 20, to: -40 }),
    { jump: CODES.jumpEqual, to: 7, value: LOOPBACK_INTERFACE, label: "loopback, ipv4" },
    ...refuseIpv4(-24),
    { jump: CODES.jump, label: "allow" },
    "loopback, ipv4",
    // With options in its header, what follows lies elsewhere.
    ...[loadByte(-40), unlessEqual(0x45, "refuse"), loadByte(-31)],
    unlessEqual(PROTOCOLS.tcp, "refuse"),
    ...refuseFirstSegment(20),
    "allow",
    ...verdicts(),
  ]);
}

/** Without it there is no connection but one that somebody else has begun. */
function refuseFirstSegment(headerBytes: number): Line[] {
  return [
    ...readPacket({ offset: headerBytes + TCP_FLAGS_OFFSET, length: 1, to: -48 }),
    loadByte(-48),
    instruction(CODES.and, { to: 2, value: SYN_OR_ACK }),
    whenEqual(SYN, "refuse"),
  ];
}

/** Copies bytes of the packet, from its IP header on, to the stack. */
function readPacket({
  offset,
  length,
  to,
}: {
  offset: number;
  length: number;
  to: number;
}): Line[] {
  return [
    instruction(CODES.move, { to: 1, from: 6 }),
    instruction(CODES.set, { to: 2, value: offset }),
    instruction(CODES.move, { to: 3, from: 10 }),
    instruction(CODES.add, { to: 3, value: to }),
    instruction(CODES.set, { to: 4, value: length }),
    instruction(CODES.call, { value: LOAD_BYTES }),
    { jump: CODES.jumpUnequal, to: 0, value: 0, label: "refuse" },
  ];
}
