// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { inNetworkNamespace } from "../../linux/network-namespace.ts";
import { openTap } from "../../linux/tap.ts";
import type { Journal } from "../journal/journal.ts";
import type { PodInterface } from "./facts.ts";
import { type OpenNamespace, reopenNamespace, runInNamespace } from "./namespace.ts";

/** The VMM's end of one of the pod's interfaces. */
export interface Tap {
  name: string;
  /** Open for reading and writing; the caller's to close. */
  descriptor: number;
}

/** What undoes {@link connectTap}, for the journal. */
export interface Mirror {
  namespace: string;
  inode: number;
  interface: string;
  tap: string;
}

/**
 * Makes a tap device beside an interface of the pod's and has the kernel hand every frame that
 * arrives at one of the two to the other (Kata's `tcfilter`). Nothing of it needs an address or a
 * route, and the interface stays as it is. Written into the journal before it is made.
 * @throws TAP_UNAVAILABLE, NETWORK_INTERFACE_BUSY, COMMAND_FAILED
 */
export async function connectTap(
  target: { namespace: OpenNamespace; index: number; journal: Journal },
  { name, mtu }: PodInterface,
): Promise<Tap> {
  const { namespace, index, journal } = target;
  const tap = `tap${index}_kata`;
  if (await hasIngress(namespace, name)) throw busy(name);
  const { path, inode } = namespace;
  journal.append({ type: "mirror", namespace: path, inode, interface: name, tap });
  const descriptor = inNetworkNamespace(namespace.descriptor, () => openTap(tap));
  try {
    await runInNamespace(namespace, ["ip", "link", "set", "dev", tap, "mtu", `${mtu}`, "up"]);
    const input = [...redirect(name, tap), ...redirect(tap, name)].join("\n");
    await runInNamespace(namespace, ["tc", "-batch", "-"], { input: `${input}\n` });
    return { name: tap, descriptor };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/**
 * Takes the tap device and the filters of the interface away; idempotent. The device goes by itself
 * with its last descriptor, unless a captured VMM has made it stay.
 * @throws NETWORK_NOT_UNDONE
 */
export async function disconnectTap(mirror: Mirror): Promise<void> {
  const namespace = reopenNamespace(mirror.namespace, mirror.inode);
  // With the namespace, all that was in it has gone.
  if (namespace === undefined) return;
  try {
    const allowFailure = true;
    const { interface: name, tap } = mirror;
    await runInNamespace(namespace, ["tc", "qdisc", "del", "dev", name, "ingress"], {
      allowFailure,
    });
    await runInNamespace(namespace, ["ip", "link", "del", "dev", tap], { allowFailure });
    const left = [
      ...((await hasIngress(namespace, name)) ? [`the filter of ${name}`] : []),
      ...((await exists(namespace, tap)) ? [tap] : []),
    ];
    if (left.length === 0) return;
    throw new MukonError(
      "NETWORK_NOT_UNDONE",
      `${left.join(" and ")} cannot be removed from ${mirror.namespace}`,
    );
  } finally {
    closeSync(namespace.descriptor);
  }
}

/** What arrives at `from` leaves by `to`. */
function redirect(from: string, to: string): string[] {
  return [
    `qdisc add dev ${from} ingress`,
    `filter add dev ${from} parent ffff: protocol all prio 1 u32 match u8 0 0 action mirred egress redirect dev ${to}`,
  ];
}

/** False also when there is no such interface (any more). */
async function hasIngress(namespace: OpenNamespace, name: string): Promise<boolean> {
  const { stdout } = await runInNamespace(namespace, ["tc", "qdisc", "show", "dev", name], {
    allowFailure: true,
  });
  return /^qdisc (?:ingress|clsact) /m.test(stdout);
}

async function exists(namespace: OpenNamespace, name: string): Promise<boolean> {
  const argv = ["ip", "link", "show", "dev", name];
  return (await runInNamespace(namespace, argv, { allowFailure: true })).code === 0;
}

function busy(name: string): MukonError {
  return new MukonError(
    "NETWORK_INTERFACE_BUSY",
    `the pod's interface ${name} has filters for what arrives already`,
    { hint: `they may be those of another pod in this namespace: tc qdisc show dev ${name}` },
  );
}
