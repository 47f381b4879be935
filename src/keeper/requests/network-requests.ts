// SPDX-License-Identifier: Apache-2.0
import { IPFamily } from "../../generated/agent/types_pb.ts";
import type { Network } from "../../sandbox/messages/network.ts";
import type { Handlers } from "../control/handlers.ts";
import { forwardConnections } from "../forwarding/forward.ts";
import { asking } from "../guest/guest-error.ts";
import { closeAll } from "../process/process-stdio.ts";
import type { KeeperContext } from "./context.ts";

/** RTNH_F_ONLINK of rtnetlink(7). */
const ON_LINK = 0x4;
/** NUD_PERMANENT of linux/neighbour.h. */
const PERMANENT = 0x80;

/** Requests about the pod's network. */
export function networkRequests(
  context: KeeperContext,
): Pick<Handlers, "attachCard" | "setUpNetwork" | "forwardPorts"> {
  const { guest, logger } = context;
  const { agent, cards } = guest;
  return {
    attachCard: async (card, descriptors) => {
      try {
        const [descriptor = -1, vhostDescriptor] = descriptors;
        return { source: (await cards.attach({ ...card, descriptor, vhostDescriptor })).pciPath };
      } finally {
        closeAll(descriptors);
      }
    },
    setUpNetwork: async (network) => {
      for (const one of interfacesOf(network)) {
        await asking(
          `set up its interface ${one.name}`,
          agent.call("updateInterface", { interface: one }),
        );
      }
      const neighbours = { ARPNeighbors: neighboursOf(network) };
      if (neighbours.ARPNeighbors.length > 0) {
        await asking(
          "take its neighbours",
          agent.call("addARPNeighbors", { neighbors: neighbours }),
        );
      }
      const routes = { Routes: routesOf(network) };
      if (routes.Routes.length > 0) {
        await asking("take its routes", agent.call("updateRoutes", { routes }));
      }
      return {};
    },
    forwardPorts: async (_, [listener, ...others]) => {
      closeAll(others);
      if (listener === undefined) return {};
      const server = forwardConnections({ connect: (port) => guest.connect(port), logger });
      server.listen({ fd: listener });
      return {};
    },
  };
}

function interfacesOf({ interfaces }: Network) {
  return interfaces.map(({ name, mac, mtu, source, addresses }) => ({
    device: name,
    name,
    IPAddresses: addresses.map(({ address, prefix }) => ({
      family: familyOf(address),
      address,
      mask: String(prefix),
    })),
    mtu: BigInt(mtu),
    hwAddr: mac,
    devicePath: source,
  }));
}

function routesOf({ routes }: Network) {
  return routes.map((route) => ({
    dest: route.destination,
    gateway: route.gateway ?? "",
    device: route.device,
    source: route.source ?? "",
    scope: route.scope,
    family: route.family === 6 ? IPFamily.v6 : IPFamily.v4,
    flags: route.onLink ? ON_LINK : 0,
    mtu: route.mtu,
  }));
}

function neighboursOf({ neighbours }: Network) {
  return neighbours.map(({ address, device, mac }) => ({
    toIPAddress: { family: familyOf(address), address },
    device,
    lladdr: mac,
    state: PERMANENT,
  }));
}

function familyOf(address: string): IPFamily {
  return address.includes(":") ? IPFamily.v6 : IPFamily.v4;
}
