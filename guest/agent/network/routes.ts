// SPDX-License-Identifier: Apache-2.0
import { readField } from "../cgroup/control.ts";
import type { Infer } from "../protobuf/field.ts";
import { Family, type Route } from "../schema/types.ts";
import { checkAddress, checkName } from "./interfaces.ts";
import type { IpCommand } from "./ip-command.ts";

export type RouteSpec = Infer<typeof Route>;

const SCOPES: Readonly<Record<number, string>> = { 200: "site", 253: "link", 254: "host" };
/** RTNH_F_ONLINK: the gateway is a neighbour, whatever the addresses say. */
const IS_ON_LINK = 0x4;
/** RTF_UP and RTF_GATEWAY of /proc/net/ipv6_route. */
const IS_UP = 0x1;

/** Sets all routes; those that need no gateway first, since gateways are reached through them. */
export async function updateRoutes(ip: IpCommand, routes: readonly RouteSpec[]): Promise<void> {
  const sorted = [...routes].sort((a, b) => Number(a.gateway !== "") - Number(b.gateway !== ""));
  for (const route of sorted) await ip(...routeArguments(route));
}

export function routeArguments(route: RouteSpec): string[] {
  const isDefault = route.dest === "" || /^(?:0\.0\.0\.0|::)\/0$/.test(route.dest);
  const [address = "", prefix] = route.dest.split("/");
  const checked = isDefault ? "" : checkAddress(address);
  const destination = isDefault
    ? "default"
    : [checked, ...(prefix === undefined ? [] : [String(Number(prefix) || 0)])].join("/");
  const scope = SCOPES[route.scope];
  return [
    ...(route.family === Family.v6 ? ["-6"] : []),
    ...["route", "replace", destination],
    ...(route.gateway === "" ? [] : ["via", checkAddress(route.gateway)]),
    ...["dev", checkName(route.device)],
    ...(route.source === "" ? [] : ["src", checkAddress(route.source)]),
    ...(scope === undefined || route.gateway !== "" ? [] : ["scope", scope]),
    ...(route.mtu === 0 ? [] : ["mtu", String(route.mtu)]),
    ...((route.flags & IS_ON_LINK) === 0 || route.gateway === "" ? [] : ["onlink"]),
  ];
}

export function listRoutes(): RouteSpec[] {
  return [
    ...parseIpv4Routes(readField("/proc/net/route")),
    ...parseIpv6Routes(readField("/proc/net/ipv6_route")),
  ];
}

/** Columns of /proc/net/route: addresses are hexadecimal, lowest byte first. */
export function parseIpv4Routes(text: string): RouteSpec[] {
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns.length >= 9)
    .map(([device = "", dest = "", gateway = "", , , , , mask = "", mtu = ""]) => ({
      dest: `${ipv4(dest)}/${prefixLength(mask)}`,
      gateway: gateway === "00000000" ? "" : ipv4(gateway),
      device,
      source: "",
      scope: gateway === "00000000" ? 253 : 0,
      family: Family.v4,
      flags: 0,
      mtu: Number(mtu) || 0,
    }));
}

function parseIpv6Routes(text: string): RouteSpec[] {
  return text
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(
      (columns) => columns.length >= 10 && (Number.parseInt(columns[8] ?? "", 16) & IS_UP) !== 0,
    )
    .map((columns) => ({
      dest: `${ipv6(columns[0] ?? "")}/${Number.parseInt(columns[1] ?? "0", 16)}`,
      gateway: /^0+$/.test(columns[4] ?? "") ? "" : ipv6(columns[4] ?? ""),
      device: columns[9] ?? "",
      source: "",
      scope: 0,
      family: Family.v6,
      flags: 0,
      mtu: 0,
    }));
}

function ipv4(hex: string): string {
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(".");
}

function ipv6(hex: string): string {
  return (hex.match(/.{4}/g) ?? []).map((part) => part.replace(/^0{1,3}/, "")).join(":");
}

function prefixLength(hex: string): number {
  let bits = Number.parseInt(hex, 16) >>> 0;
  let count = 0;
  for (; bits !== 0; bits = (bits & (bits - 1)) >>> 0) count += 1;
  return count;
}
