// SPDX-License-Identifier: Apache-2.0
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import type { NetworkFacts, PodInterface, PodNeighbour, PodRoute } from "./facts.ts";
import * as facts from "./facts.ts";
import { type OpenNamespace, runInNamespace } from "./namespace.ts";

const SCOPES: Readonly<Record<string, number>> = { global: 0, site: 200, link: 253, host: 254 };
/** A pod with more than this was not meant to be one. */
const MAX_INTERFACES = 16;
const MAX_ROUTES = 256;
const MAX_NEIGHBOURS = 256;

type Links = v.InferOutput<typeof facts.links>;
type Routes = v.InferOutput<typeof facts.routes>;

/**
 * Reads what is in a pod's network namespace and changes nothing.
 * @throws NETWORK_UNSUPPORTED, COMMAND_NOT_FOUND, COMMAND_FAILED
 */
export async function scanNetwork(namespace: OpenNamespace): Promise<NetworkFacts> {
  const ask = async <T>(schema: GenericSchema<unknown, T>, ...words: string[]): Promise<T> => {
    const { stdout } = await runInNamespace(namespace, ["ip", "-json", ...words]);
    // Where there is nothing of the kind, some versions print nothing.
    return parse(schema, stdout.trim() === "" ? "[]" : stdout, namespace.path);
  };
  const [links, ipv4, ipv6, neighbours] = await Promise.all([
    ask(facts.links, "-details", "address", "show"),
    ask(facts.routes, "-4", "route", "show"),
    ask(facts.routes, "-6", "route", "show"),
    ask(facts.neighbours, "neighbour", "show", "nud", "permanent"),
  ]);
  const found: NetworkFacts = { interfaces: [], routes: [], neighbours: [], warnings: [] };
  found.interfaces = interfacesOf(links, found.warnings);
  const names = new Set(found.interfaces.map((one) => one.name));
  const routes = [...routesOf(ipv4, 4, found.warnings), ...routesOf(ipv6, 6, found.warnings)];
  found.routes = routes.filter(({ device }) => names.has(device));
  found.neighbours = neighbours.flatMap(({ dst, dev, lladdr }): PodNeighbour[] => {
    const neighbour = v.safeParse(facts.podNeighbour, { address: dst, device: dev, mac: lladdr });
    return neighbour.success && names.has(neighbour.output.device) ? [neighbour.output] : [];
  });
  checkCount("interfaces", found.interfaces.length, MAX_INTERFACES);
  checkCount("routes", found.routes.length, MAX_ROUTES);
  checkCount("neighbours", found.neighbours.length, MAX_NEIGHBOURS);
  return found;
}

/** As Kata does: an interface without an address is none of the pod's. */
export function interfacesOf(links: Links, warnings: string[]): PodInterface[] {
  return links
    .filter(({ link_type, addr_info }) => link_type !== "loopback" && addr_info.length > 0)
    .flatMap((link): PodInterface[] => {
      const { ifname, link_type, mtu, linkinfo, address, addr_info, flags } = link;
      if (link_type !== "ether") throw unsupported(`the interface ${ifname} is a ${link_type}`);
      if (!flags.includes("UP")) {
        warnings.push(`the interface ${ifname} is left out: it is switched off`);
        return [];
      }
      // Those of the link the guest's kernel makes by itself, out of the hardware address.
      const addresses = addr_info
        .filter(({ scope, family }) => !(scope === "link" && family === "inet6"))
        .map(({ local, prefixlen }) => ({ address: local, prefix: prefixlen }));
      const kind = linkinfo?.info_kind ?? "";
      return [check(facts.podInterface, { name: ifname, mac: address, mtu, kind, addresses })];
    });
}

/**
 * Routes but for those that the guest's kernel makes by itself. The agent's protocol has no metric:
 * of several ways to one destination, the guest gets the best.
 */
export function routesOf(all: Routes, family: 4 | 6, warnings: string[]): PodRoute[] {
  const best = new Map<string, Routes[number]>();
  for (const route of all) {
    if (route.protocol === "kernel" || (route.type ?? "unicast") !== "unicast") continue;
    if (route.via !== undefined || route.nexthops !== undefined) {
      warnings.push(`the route to ${route.dst.slice(0, 64)} is left out: it has several ways`);
      continue;
    }
    const known = best.get(route.dst);
    if (known === undefined || (route.metric ?? 0) < (known.metric ?? 0)) {
      best.set(route.dst, route);
    }
  }
  return [...best.values()].map((route) =>
    check(facts.podRoute, {
      family,
      destination: route.dst,
      gateway: route.gateway,
      device: route.dev,
      source: route.prefsrc,
      scope: typeof route.scope === "number" ? route.scope : (SCOPES[route.scope ?? ""] ?? 0),
      mtu: route.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu ?? 0,
      onLink: route.flags?.includes("onlink") ?? false,
    }),
  );
}

function parse<T>(schema: GenericSchema<unknown, T>, text: string, path: string): T {
  try {
    return v.parse(schema, JSON.parse(text));
  } catch (cause) {
    throw unsupported(`ip(8) says of ${path} what makes no sense: ${cause}`);
  }
}

function check<T>(schema: GenericSchema<unknown, T>, value: unknown): T {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const shown = JSON.stringify(value).slice(0, 300);
  throw unsupported(`${result.issues[0].message} in ${shown}`);
}

function checkCount(what: string, count: number, most: number): void {
  if (count > most) throw unsupported(`it has ${count} ${what}, more than ${most}`);
}

function unsupported(why: string): MukonError {
  return new MukonError(
    "NETWORK_UNSUPPORTED",
    `the pod's network cannot be given to a VM: ${why}`,
    {
      hint: "use a CNI plugin that makes an Ethernet interface: bridge, ptp, macvlan",
    },
  );
}
