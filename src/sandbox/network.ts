// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { MukonError } from "../errors/mukon-error.ts";
import type { NetworkFacts } from "../host/network/facts.ts";
import { connectTap, type Tap } from "../host/network/mirror.ts";
import { openNamespace } from "../host/network/namespace.ts";
import { scanNetwork } from "../host/network/scan.ts";
import { openVhost } from "../host/network/vhost.ts";
import { readSandboxState, writeSandboxState } from "../host/sandbox-state.ts";
import type { KeeperClient } from "./keeper-client.ts";
import type { MachineDraft } from "./machine.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";

/** A pod's network: what is in its namespace, and a tap device for each of its interfaces. */
export interface PodNetwork {
  facts: NetworkFacts;
  /** In the order of the interfaces. */
  taps: Tap[];
  vhosts: (number | undefined)[];
  descriptors: OwnedDescriptors;
}

/**
 * Joins the interfaces in the pod's network namespace to tap devices; undefined when it is to have
 * no network. What it makes is in the journal; its descriptors are the caller's to close.
 * @throws NETWORK_NAMESPACE_MISSING, NETWORK_HOST_REFUSED, NETWORK_UNSUPPORTED,
 *   NETWORK_INTERFACE_BUSY, TAP_UNAVAILABLE
 */
export async function connectNetwork(
  draft: MachineDraft,
  path: string | undefined,
  descriptors: OwnedDescriptors,
): Promise<PodNetwork | undefined> {
  const { configuration, journal, log } = draft;
  const { internetworkingModel: model } = configuration.runtime;
  if (path === undefined || path === "" || model === "none") return undefined;
  if (model !== "tcfilter") {
    throw new MukonError("NETWORK_UNSUPPORTED", `internetworking_model is "${model}"`, {
      hint: 'use "tcfilter" or "none": mukon config show --origin',
    });
  }
  const namespace = openNamespace(path);
  try {
    const facts = await scanNetwork(namespace);
    for (const warning of facts.warnings) log.warn(warning);
    const network: PodNetwork = { facts, taps: [], vhosts: [], descriptors };
    for (const [index, one] of facts.interfaces.entries()) {
      const tap = await connectTap({ namespace, index, journal }, one);
      descriptors.own(tap.descriptor);
      network.taps.push(tap);
      const vhost = configuration.hypervisor.qemu.disableVhostNet ? undefined : openVhost();
      network.vhosts.push(vhost === undefined ? undefined : descriptors.own(vhost));
    }
    return network;
  } finally {
    closeSync(namespace.descriptor);
  }
}

/**
 * Plugs a network card into the running machine for each of the pod's interfaces, and has the guest
 * set them up. From here on the tap devices are the VMM's alone.
 */
export async function plugNetwork(
  key: string,
  network: PodNetwork,
  keeper: KeeperClient,
): Promise<void> {
  const { facts, taps, vhosts } = network;
  const interfaces = [];
  for (const [index, { name, mac, mtu, addresses }] of facts.interfaces.entries()) {
    const passed = [taps[index]?.descriptor, vhosts[index]].filter((fd) => fd !== undefined);
    try {
      const { source } = await keeper.attachCard({ cardId: `n${index}`, mac, mtu }, passed);
      interfaces.push({ name, mac, mtu, source, addresses });
    } finally {
      network.descriptors.close(passed);
    }
  }
  const routes = facts.routes.map((route) => ({
    ...route,
    destination: route.destination === "default" ? "" : route.destination,
  }));
  await keeper.setUpNetwork({ interfaces, routes, neighbours: facts.neighbours });
  noteNetwork(key, network);
}

/** For `mukon inspect`, `ps` and `audit`. */
function noteNetwork(key: string, { facts, taps }: PodNetwork): void {
  const state = readSandboxState(key);
  if (state === undefined) return;
  const network = facts.interfaces.map(({ name, mac, addresses }, index) => ({
    ...{ name, mac, tap: taps[index]?.name ?? "" },
    addresses: addresses.map(({ address, prefix }) => `${address}/${prefix}`),
  }));
  writeSandboxState(key, { ...state, network });
}
