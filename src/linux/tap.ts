// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync } from "node:fs";
import { MukonError } from "../errors/mukon-error.ts";
import { SystemCallError, systemCall } from "./system-call.ts";

const TUN_NODE = "/dev/net/tun";
// linux/if_tun.h
const TUNSETIFF = 0x4004_54ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFF_TUN_EXCL = 0x8000;
const IFREQ_BYTES = 40;
const MAX_NAME_BYTES = 15;

const ioctl = systemCall("int ioctl(int fd, unsigned long request, void *argument)");

/**
 * Makes a tap device in the network namespace of the calling thread. It is there as long as the
 * descriptor, or a copy of it, is open. Frames carry a virtio-net header, so that checksums and
 * segments can be left to whoever gets them.
 * @throws TAP_UNAVAILABLE
 */
export function openTap(name: string): number {
  if (name.length > MAX_NAME_BYTES) throw unavailable(`"${name}" is too long for a name`);
  let fd: number;
  try {
    fd = openSync(TUN_NODE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (cause) {
    throw unavailable(cause instanceof Error ? cause.message : String(cause), cause);
  }
  try {
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write(name, 0, "latin1");
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL, 16);
    ioctl(fd, TUNSETIFF, request);
    return fd;
  } catch (cause) {
    closeSync(fd);
    const isThere = cause instanceof SystemCallError && cause.errorName === "EBUSY";
    throw unavailable(isThere ? `${name} is there already` : String(cause), cause);
  }
}

function unavailable(why: string, cause?: unknown): MukonError {
  return new MukonError("TAP_UNAVAILABLE", `no tap device could be made: ${why}`, {
    hint: `see that ${TUN_NODE} is there: modprobe tun; its permissions may stay as they are`,
    cause,
  });
}
