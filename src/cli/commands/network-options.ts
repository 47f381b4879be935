// SPDX-License-Identifier: Apache-2.0
import { isIP } from "node:net";
import { isAbsolute, normalize } from "node:path";
import type { PortMapping } from "../../host/cni/plugin.ts";
import { usage } from "../io/quantities.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const PORT =
  /^(?:(?<ip>[0-9.]+|\[[0-9a-fA-F:.]+\]):)?(?<host>\d{1,5}):(?<inside>\d{1,5})(?:\/(?<protocol>tcp|udp))?$/;
const LOOPBACK = "127.0.0.1";

/** @throws USAGE */
export function parseNetwork(text: string): string {
  const name = text.startsWith("cni:") ? text.slice(4) : text;
  if (isAbsolute(text)) return normalize(text);
  const isReserved = name === "host" || (name === "user" && name !== text);
  if (NAME.test(name) && !isReserved) return name;
  throw usage(
    "--network",
    text,
    "none, user, the name of a CNI network (bridge), or the path of a network namespace",
  );
}

/** Only this host itself reaches a port unless an address says otherwise. @throws USAGE */
export function parsePort(text: string): PortMapping {
  const { ip, host, inside, protocol } = PORT.exec(text)?.groups ?? {};
  const hostIP = ip?.replace(/[[\]]/g, "") ?? LOOPBACK;
  const ports = [Number(host), Number(inside)];
  const isGood = isIP(hostIP) !== 0 && ports.every((port) => port >= 1 && port <= 65_535);
  const [hostPort = 0, containerPort = 0] = ports;
  if (isGood) {
    return { hostIP, hostPort, containerPort, protocol: protocol === "udp" ? "udp" : "tcp" };
  }
  throw usage("--publish", text, "[ADDRESS:]PORT:PORT, with /udp where that is meant");
}

/** @throws USAGE */
export function parseNameServer(text: string): string {
  if (isIP(text) !== 0) return text;
  throw usage("--dns", text, "an IP address");
}
