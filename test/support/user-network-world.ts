// SPDX-License-Identifier: Apache-2.0
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupHierarchies } from "../../src/host/cgroups/hierarchies.ts";
import { NetworkWorld } from "./network-world.ts";

/** Why networks in user mode cannot be tested here, or false. */
export const cannotUserNetwork = !existsSync("/usr/bin/passt")
  ? "needs the Debian package passt"
  : cgroupHierarchies().some(({ version }) => version === 2)
    ? false
    : "needs cgroup version 2 below /sys/fs/cgroup";

export const TCP_PORT = 4321;
export const UDP_PORT = 4322;
export const HOST = { ipv4: "198.51.100.2", ipv6: "2001:db8:51::2" };
export const OUTSIDE = { ipv4: "198.51.100.1", ipv6: "2001:db8:51::1" };
/** Clouds have their metadata there; in here the host has them. */
const METADATA = ["169.254.169.254/32", "fd00:ec2::254/128"];

/** Says hello to everybody, and writes down who has come; TCP and UDP, at all addresses. */
const listen = (come: string): string => `
const { appendFileSync } = require("node:fs");
const note = (who) => appendFileSync(${JSON.stringify(come)}, who + "\\n");
const { createServer } = require("node:net");
const { createSocket } = require("node:dgram");
const udp = createSocket({ type: "udp6" });
udp.on("message", (_, from) => {
  note("udp " + from.address);
  udp.send("hello", from.port, from.address);
});
createServer((socket) => {
  note("tcp " + socket.remoteAddress);
  socket.on("error", () => {});
  socket.end("hello");
}).listen(${TCP_PORT}, "::", () => udp.bind(${UDP_PORT}, "::", () => console.log("listening")));`;

/** A host, and a machine outside of it, which both listen to everybody. */
export async function makeHostAndOutside(): Promise<{
  network: NetworkWorld;
  outside: string;
  /** A file with a line for each who has come to the host's listeners. */
  comeToHost: string;
}> {
  const network = await NetworkWorld.make();
  const outside = await network.addNamespace("outside");
  const name = outside.slice("/run/netns/".length);
  const ends: [string, string, typeof HOST][] = [
    [network.host, "up0", HOST],
    [outside, "down0", OUTSIDE],
  ];
  const link = ["ip", "link", "add", "up0", "type", "veth"];
  await network.inHost([...link, "peer", "name", "down0", "netns", name]);
  await network.in(outside, ["ip", "link", "set", "lo", "up"]);
  for (const [namespace, device, { ipv4, ipv6 }] of ends) {
    const ip = (...words: string[]): Promise<string> => network.in(namespace, ["ip", ...words]);
    const broadcast = ["broadcast", "198.51.100.255"];
    await ip("addr", "add", `${ipv4}/24`, ...broadcast, "dev", device);
    await ip("addr", "add", `${ipv6}/64`, "dev", device, "nodad");
    await ip("link", "set", device, "up");
  }
  await network.inHost(["ip", "route", "add", "default", "via", OUTSIDE.ipv4]);
  for (const address of METADATA) await network.inHost(["ip", "addr", "add", address, "dev", "lo"]);
  const [comeToHost, comeOutside] = [join(network.leases, "host"), join(network.leases, "outside")];
  writeFileSync(comeToHost, "");
  await network.serve(network.host, listen(comeToHost));
  await network.serve(outside, listen(comeOutside));
  return { network, outside, comeToHost };
}
