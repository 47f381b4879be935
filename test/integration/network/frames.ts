// SPDX-License-Identifier: Apache-2.0
// Frames of Ethernet that nobody's kernel would send.

/** One to try, from an address to an address. */
export interface Segment {
  name: string;
  protocol: "tcp" | "udp";
  from: string;
  to: string;
  port: number;
}

type Ends = { source: string; target: string };

/** As they go through the socket between VMM and passt: with their length before them. */
export function framed(frame: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

export function arpRequest(source: string, own: string, wanted: string): Buffer {
  const fixed = Buffer.from("0001080006040001", "hex");
  const nobody = Buffer.alloc(6);
  const body = Buffer.concat([fixed, mac(source), ipv4(own), nobody, ipv4(wanted)]);
  return Buffer.concat([mac("ff:ff:ff:ff:ff:ff"), mac(source), Buffer.from("0806", "hex"), body]);
}

/** Whose frame the first one is. */
export function macFrom([frame]: readonly Buffer[]): string {
  if (frame === undefined) throw new Error("no frame has come");
  return [...frame.subarray(6, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** The first segment of a TCP connection. */
export function synFrame(ends: Ends, segment: Omit<Segment, "name">, port: number): Buffer {
  const tcp = Buffer.alloc(20);
  tcp.writeUInt16BE(port, 0);
  tcp.writeUInt16BE(segment.port, 2);
  tcp.writeUInt32BE(1, 4);
  tcp.writeUInt8(5 << 4, 12);
  tcp.writeUInt8(2, 13);
  tcp.writeUInt16BE(64_240, 14);
  return ipFrame(ends, segment, { body: tcp, protocol: 6, checksumAt: 16 });
}

export function udpFrame(ends: Ends, segment: Omit<Segment, "name">, port: number): Buffer {
  const udp = Buffer.alloc(9);
  udp.writeUInt16BE(port, 0);
  udp.writeUInt16BE(segment.port, 2);
  udp.writeUInt16BE(udp.length, 4);
  return ipFrame(ends, segment, { body: udp, protocol: 17, checksumAt: 6 });
}

function ipFrame(
  { source, target }: Ends,
  { from, to }: Omit<Segment, "name">,
  { body, protocol, checksumAt }: { body: Buffer; protocol: number; checksumAt: number },
): Buffer {
  const addresses = Buffer.concat([ipv4(from), ipv4(to)]);
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt8(protocol, 1);
  pseudo.writeUInt16BE(body.length, 2);
  body.writeUInt16BE(checksum(Buffer.concat([addresses, pseudo, body])), checksumAt);
  const header = Buffer.concat([
    Buffer.from("4500000000010000400000 00".replace(" ", ""), "hex"),
    addresses,
  ]);
  header.writeUInt16BE(20 + body.length, 2);
  header.writeUInt8(protocol, 9);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([mac(target), mac(source), Buffer.from("0800", "hex"), header, body]);
}

/** RFC 1071 */
function checksum(bytes: Buffer): number {
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)]);
  let sum = 0;
  for (let at = 0; at < even.length; at += 2) sum += even.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function mac(text: string): Buffer {
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

function ipv4(text: string): Buffer {
  return Buffer.from(text.split(".").map(Number));
}
