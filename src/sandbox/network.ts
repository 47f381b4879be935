// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { MukonError } from "../errors/mukon-error.ts";
import type { NetworkFacts } from "../host/network/facts.ts";
import { type Loopback, openLoopback } from "../host/network/loopback.ts";
import { connectTap, type Tap } from "../host/network/mirror.ts";
import { type OpenNamespace, openNamespace } from "../host/network/namespace.ts";
import { scanNetwork } from "../host/network/scan.ts";
import { openVhost } from "../host/network/vhost.ts";
import { readSandboxState, writeSandboxState } from "../host/sandbox-state.ts";
import type { Logger } from "../logging/logger.ts";
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
  /** Where connections to the pod's loopback arrive; undefined: nobody asks for them, or cannot be. */
  loopback: Loopback | undefined;
}

export interface NetworkRequest {
  /** Path of the namespace; none: the pod has no network. */
  path: string | undefined;
  /** Programs of the host's connect to the pod's loopback, and mean the guest's. */
  isForwarding: boolean;
}

/**
 * Joins the interfaces in the pod's network namespace to tap devices; undefined when it is to have
 * no network. What it makes is in the journal; its descriptors are the caller's to close.
 * @throws NETWORK_NAMESPACE_MISSING, NETWORK_HOST_REFUSED, NETWORK_UNSUPPORTED,
 *   NETWORK_INTERFACE_BUSY, TAP_UNAVAILABLE
 */
export async function connectNetwork(
  draft: MachineDraft,
  { path, isForwarding }: NetworkRequest,
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
    const loopback = isForwarding ? tryLoopback(namespace, log) : undefined;
    for (const descriptor of Object.values(loopback ?? {})) descriptors.own(descriptor);
    const network: PodNetwork = { facts, taps: [], vhosts: [], descriptors, loopback };
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

/** A pod is worth more than that ports of it can be forwarded. */
function tryLoopback(namespace: OpenNamespace, log: Logger): Loopback | undefined {
  try {
    return openLoopback(namespace);
  } catch (error) {
    log.warn("port-forward will not reach this pod: its loopback cannot be caught", { error });
    return undefined;
  }
}

/**
 * Has the keeper pass on what arrives at the pod's loopback.
 * @param hold keeps a descriptor open as long as the pod is there
 */
export async function forwardLoopback(
  { loopback, descriptors }: PodNetwork,
  keeper: KeeperClient,
  hold: (descriptor: number) => void,
): Promise<void> {
  if (loopback === undefined) return;
  await keeper.forwardPorts({}, [loopback.listener]);
  descriptors.close([loopback.listener]);
  hold(descriptors.release(loopback.link));
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
