// SPDX-License-Identifier: Apache-2.0
import { readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { isAbsolute } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import type { OciMount } from "../../guest-protocol/oci-spec.ts";
import { attachToNetwork, detachFromNetwork } from "../../host/cni/attachment.ts";
import { findNetwork } from "../../host/cni/networks.ts";
import type { PortMapping } from "../../host/cni/plugin.ts";
import { writeUserNetworkWish } from "../../host/network/user/wish-file.ts";
import { printNote } from "../output/print.ts";
import { bindMount } from "./bind-mount.ts";
import { bundlePaths } from "./paths.ts";

/** What systemd-resolved asks; it is itself on 127.0.0.53. */
const RESOLVED = "/run/systemd/resolve/resolv.conf";
/** The C library looks at no more. */
const MAX_NAME_SERVERS = 3;

/** What `mukon run` was told about the network. */
export interface NetworkChoice {
  /** `none`, `user`, the path of a network namespace, or the name of a CNI network. */
  network: string;
  ports: readonly PortMapping[];
  nameServers: readonly string[];
}

/** What of it goes into the container's specification. */
export interface BundleNetwork {
  /** Path of the network namespace; none: no network. */
  namespace?: string;
  mounts: OciMount[];
}

/**
 * Makes the network of a container, and its /etc/hosts and /etc/resolv.conf.
 * @throws CNI_NETWORK_UNKNOWN, CNI_FAILED and others of CNI's, PUBLISH_UNSUPPORTED
 */
export async function joinNetwork(
  id: string,
  hostname: string,
  choice: NetworkChoice,
): Promise<BundleNetwork> {
  const { network, ports, nameServers } = choice;
  if (network === "user") return userNetwork(id, choice);
  const isOwn = network !== "none" && !isAbsolute(network);
  if (!isOwn && ports.length > 0) {
    throw new MukonError("PUBLISH_UNSUPPORTED", `--network ${network} publishes no ports`, {
      hint: "use --network bridge with --publish",
    });
  }
  if (network === "none") return { mounts: [] };
  const paths = bundlePaths(id);
  if (!isOwn) {
    return { namespace: network, mounts: [resolvConf(id, nameServers, [])] };
  }
  const wanted = { id, network: findNetwork(network), ports };
  const { namespace, result } = await attachToNetwork(paths.network, wanted);
  const addresses = result.ips.map(({ address }) => address.split("/")[0] ?? "");
  const lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"];
  const own = addresses.map((address) => `${address} ${hostname}`);
  writeFileSync(paths.hosts, `${[...lines, ...own].join("\n")}\n`, { mode: 0o600 });
  return {
    namespace,
    mounts: [
      resolvConf(id, nameServers, result.dns?.nameservers ?? []),
      bindMount(paths.hosts, "/etc/hosts", "rw"),
    ],
  };
}

/** Nothing is made for it before its shim does so. */
function userNetwork(id: string, { ports, nameServers }: NetworkChoice): BundleNetwork {
  const wish = ports.map(({ hostIP, hostPort, containerPort, protocol }) => {
    if (isIP(hostIP) !== 4) {
      throw new MukonError("PUBLISH_UNSUPPORTED", `--network user publishes no port at ${hostIP}`, {
        hint: "name an address of IPv4, such as 0.0.0.0, or use --network bridge",
      });
    }
    if (protocol === "udp" && hostIP.startsWith("127.")) {
      throw new MukonError(
        "PUBLISH_UNSUPPORTED",
        "--network user publishes no port for UDP on the host's loopback, which nothing of the pod may send to",
        { hint: "name an address for other machines to send to, such as 0.0.0.0" },
      );
    }
    return { hostAddress: hostIP, hostPort, guestPort: containerPort, protocol };
  });
  writeUserNetworkWish(bundlePaths(id).directory, { ports: wish });
  const servers = nameServers.length > 0 ? nameServers : nameServersForUser();
  return { mounts: [resolvConf(id, servers, [])] };
}

/** What the host's resolver asks, where the host itself asks a resolver on its loopback. */
function nameServersForUser(): string[] {
  const found = [...hostNameServers(), ...hostNameServers(RESOLVED)].filter(
    (one) => isIP(one) === 4,
  );
  if (found.length > 0) return found.slice(0, MAX_NAME_SERVERS);
  printNote(
    "the host's name servers are on its own loopback, where the container cannot reach them: it resolves no names without --dns ADDRESS",
  );
  return [];
}

/** Gives back what {@link joinNetwork} has made; idempotent. */
export async function leaveNetwork(id: string): Promise<void> {
  await detachFromNetwork(bundlePaths(id).network);
}

function resolvConf(id: string, wanted: readonly string[], ofNetwork: readonly string[]): OciMount {
  const source = bundlePaths(id).resolvConf;
  const servers = [wanted, ofNetwork, hostNameServers()].find((list) => list.length > 0) ?? [];
  const lines = servers.map((server) => `nameserver ${server}\n`);
  writeFileSync(source, lines.join(""), { mode: 0o600 });
  return bindMount(source, "/etc/resolv.conf", "rw");
}

/** Those that a container could reach: the host's loopback is not the container's. */
function hostNameServers(file = "/etc/resolv.conf"): string[] {
  try {
    return [...readFileSync(file, "utf8").matchAll(/^nameserver\s+(\S+)/gm)]
      .map(([, server = ""]) => server)
      .filter((server) => isIP(server) !== 0 && !/^(?:127\.|::1$)/.test(server));
  } catch {
    return [];
  }
}
