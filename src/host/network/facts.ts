// SPDX-License-Identifier: Apache-2.0
import { isIPv4, isIPv6 } from "node:net";
import * as v from "valibot";

// What `ip -json` prints, as far as it is used; ip-address(8), ip-route(8), ip-neighbour(8).

const address = v.pipe(
  v.string(),
  v.check((text) => isIPv4(text) || (isIPv6(text) && !text.includes("%")), "is no IP address"),
);
/** As the kernel allows them, without what would mean something to a program that is told. */
export const INTERFACE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}$/;
const name = v.pipe(v.string(), v.regex(INTERFACE_NAME));
const hardwareAddress = v.pipe(v.string(), v.regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/));
const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const destination = v.pipe(
  v.string(),
  v.check((text) => {
    if (text === "default") return true;
    const [base = "", prefix = "0", ...more] = text.split("/");
    return v.is(address, base) && /^\d{1,3}$/.test(prefix) && more.length === 0;
  }, "is no destination"),
);

export const links = v.array(
  v.object({
    ifname: v.string(),
    flags: v.array(v.string()),
    mtu: whole,
    link_type: v.string(),
    address: v.optional(v.string()),
    linkinfo: v.optional(v.object({ info_kind: v.optional(v.string()) })),
    addr_info: v.array(
      v.object({
        family: v.optional(v.string()),
        local: v.optional(v.string()),
        prefixlen: v.optional(whole),
        scope: v.optional(v.string()),
      }),
    ),
  }),
);

export const routes = v.array(
  v.object({
    type: v.optional(v.string()),
    dst: v.string(),
    gateway: v.optional(v.string()),
    dev: v.optional(v.string()),
    prefsrc: v.optional(v.string()),
    protocol: v.optional(v.string()),
    scope: v.optional(v.union([v.string(), v.number()])),
    metric: v.optional(whole),
    flags: v.optional(v.array(v.string())),
    metrics: v.optional(v.array(v.looseObject({ mtu: v.optional(whole) }))),
    via: v.optional(v.unknown()),
    nexthops: v.optional(v.unknown()),
  }),
);

export const neighbours = v.array(
  v.object({
    dst: v.string(),
    dev: v.optional(v.string()),
    lladdr: v.optional(v.string()),
    state: v.optional(v.array(v.string())),
  }),
);

/** One of the pod's interfaces, as its network's owner has set it up. */
export const podInterface = v.object({
  name,
  mac: hardwareAddress,
  mtu: v.pipe(whole, v.minValue(68), v.maxValue(65_535)),
  /** `veth`, `macvlan` and so on; "" where the kernel does not say. */
  kind: v.string(),
  addresses: v.array(v.object({ address, prefix: v.pipe(whole, v.maxValue(128)) })),
});

export const podRoute = v.object({
  family: v.picklist([4, 6]),
  /** `10.1.0.0/16`; "": the default route. */
  destination,
  gateway: v.optional(address),
  device: name,
  source: v.optional(address),
  /** Of rtnetlink(7): 0 is everywhere, 253 the link. */
  scope: v.pipe(whole, v.maxValue(255)),
  mtu: v.pipe(whole, v.maxValue(65_535)),
  onLink: v.boolean(),
});

export const podNeighbour = v.object({ address, device: name, mac: hardwareAddress });

export type PodInterface = v.InferOutput<typeof podInterface>;
export type PodRoute = v.InferOutput<typeof podRoute>;
export type PodNeighbour = v.InferOutput<typeof podNeighbour>;

/** What a pod's guest is to find. */
export interface NetworkFacts {
  interfaces: PodInterface[];
  routes: PodRoute[];
  neighbours: PodNeighbour[];
  /** A sentence for each thing that the guest cannot have. */
  warnings: string[];
}
