// SPDX-License-Identifier: Apache-2.0
import { readdirSync, realpathSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { readField } from "../cgroup/control.ts";
import { AgentError, Status } from "../errors.ts";
import type { Infer } from "../protobuf/field.ts";
import { Family, type Interface } from "../schema/types.ts";
import { findPciDevice } from "../storage/pci.ts";
import type { IpCommand } from "./ip-command.ts";

export const NET_DIRECTORY = "/sys/class/net";
/** A machine that is emulated on a busy host takes its time to notice. */
const TIMEOUT_MS = 20_000;
const POLL_MS = 20;
const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}$/;

export type InterfaceSpec = Infer<typeof Interface>;

/** Gives a network card its name, addresses and size of packets, and switches it on. */
export async function updateInterface(ip: IpCommand, wanted: InterfaceSpec): Promise<void> {
  const name = checkName(wanted.name || wanted.device);
  const current = await waitForCard(wanted);
  if (current !== name) {
    await makeWay(ip, name);
    await rename(ip, current, name);
  }
  if (wanted.mtu > 0n) await ip("link", "set", "dev", name, "mtu", wanted.mtu.toString());
  trustAddresses(name);
  await ip("addr", "flush", "dev", name);
  await ip("link", "set", "dev", name, "up");
  for (const { address, mask } of wanted.ipAddresses) {
    await ip("addr", "replace", `${checkAddress(address)}/${checkPrefix(mask)}`, "dev", name);
  }
}

async function rename(ip: IpCommand, current: string, name: string): Promise<void> {
  await ip("link", "set", "dev", current, "down");
  await ip("link", "set", "dev", current, "name", name);
}

/** Another card may have the name from the kernel, and get its own one only after this one. */
async function makeWay(ip: IpCommand, name: string): Promise<void> {
  const names = readdirSync(NET_DIRECTORY);
  if (!names.includes(name)) return;
  const free = names.map((_, index) => `mukon${index}`).find((one) => !names.includes(one));
  await rename(ip, name, free ?? `mukon${names.length}`);
}

/** Who gave the addresses out has made sure that nobody else has them: no second of waiting. */
function trustAddresses(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/accept_dad`, "0");
  } catch {
    // A kernel without IPv6.
  }
}

/** What there is, with its addresses. */
export function listInterfaces(): InterfaceSpec[] {
  const known = networkInterfaces();
  return readdirSync(NET_DIRECTORY).map((name) => ({
    device: name,
    name,
    ipAddresses: (known[name] ?? []).map(({ family, address, cidr }) => ({
      family: family === "IPv6" ? Family.v6 : Family.v4,
      address,
      mask: cidr?.split("/")[1] ?? "",
    })),
    mtu: BigInt(Number(read(name, "mtu")) || 0),
    hwAddr: read(name, "address"),
    devicePath: "",
    type: "",
    rawFlags: Number(read(name, "flags")) || 0,
  }));
}

export function checkName(name: string): string {
  if (NAME_PATTERN.test(name)) return name;
  throw new AgentError(Status.invalidArgument, `"${name.slice(0, 40)}" is no interface name`);
}

export function checkAddress(address: string): string {
  if (/^[0-9a-fA-F:.]{2,45}$/.test(address)) return address;
  throw new AgentError(Status.invalidArgument, `"${address.slice(0, 60)}" is no IP address`);
}

function checkPrefix(mask: string): string {
  if (/^\d{1,3}$/.test(mask) && Number(mask) <= 128) return mask;
  throw new AgentError(Status.invalidArgument, `"${mask.slice(0, 40)}" is no prefix length`);
}

/** The card may have been plugged in just now. Callers know the words of the error. */
async function waitForCard(wanted: InterfaceSpec): Promise<string> {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const name = findCard(wanted);
    if (name !== undefined) return name;
    if (Date.now() > deadline) {
      throw new AgentError(Status.notFound, `Link not found (Address: ${wanted.hwAddr})`);
    }
    await delay(POLL_MS);
  }
}

/** By its place, where that is known: two cards may well have the same address. */
function findCard(wanted: InterfaceSpec): string | undefined {
  const names = readdirSync(NET_DIRECTORY);
  if (wanted.devicePath !== "") {
    const device = findPciDevice(wanted.devicePath);
    return names.find(
      (name) =>
        device !== undefined && realpathSync(join(NET_DIRECTORY, name)).startsWith(`${device}/`),
    );
  }
  if (wanted.hwAddr !== "") {
    const address = wanted.hwAddr.toLowerCase();
    return names.find((name) => read(name, "address") === address);
  }
  return names.find((name) => name === wanted.device);
}

function read(name: string, file: string): string {
  return readField(join(NET_DIRECTORY, name, file));
}
