// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { HostRoot } from "../host-root.ts";

/** Whose containerd it is: that decides where its configuration is and what restarts it. */
export type FlavourName = "containerd" | "k3s" | "rke2";

export interface Flavour {
  readonly name: FlavourName;
  /** What containerd reads. */
  readonly configuration: string;
  /** Written by hand, or made by the distribution out of a template beside it. */
  readonly isGenerated: boolean;
  /** systemd units, the first of which that the node has is restarted. */
  readonly units: readonly string[];
}

const RANCHER = "/var/lib/rancher";
const FLAVOURS: Readonly<Record<FlavourName, Flavour>> = {
  containerd: {
    name: "containerd",
    configuration: "/etc/containerd/config.toml",
    isGenerated: false,
    units: ["containerd"],
  },
  k3s: {
    name: "k3s",
    configuration: `${RANCHER}/k3s/agent/etc/containerd/config.toml`,
    isGenerated: true,
    units: ["k3s", "k3s-agent"],
  },
  rke2: {
    name: "rke2",
    configuration: `${RANCHER}/rke2/agent/etc/containerd/config.toml`,
    isGenerated: true,
    units: ["rke2-server", "rke2-agent"],
  },
};
export const FLAVOUR_NAMES = Object.keys(FLAVOURS) as readonly FlavourName[];

const CONTAINERD_PROGRAMS: readonly string[] = [
  "/usr/bin/containerd",
  "/usr/local/bin/containerd",
  "/usr/sbin/containerd",
];
const UNIT_DIRECTORIES: readonly string[] = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

/**
 * The node's containerd; `wanted` decides where there are several.
 * @throws INSTALL_CONTAINERD_MISSING
 */
export function findFlavour(host: HostRoot, wanted?: FlavourName): Flavour {
  if (wanted !== undefined) return FLAVOURS[wanted];
  const found = FLAVOUR_NAMES.filter((name) => {
    if (host.exists(FLAVOURS[name].configuration)) return true;
    return name === "containerd" && CONTAINERD_PROGRAMS.some((path) => host.exists(path));
  });
  const [only] = found;
  if (only !== undefined && found.length === 1) return FLAVOURS[only];
  throw new MukonError(
    "INSTALL_CONTAINERD_MISSING",
    found.length === 0
      ? `The node has none of ${Object.values(FLAVOURS)
          .map(({ configuration }) => configuration)
          .join(", ")}, nor a containerd program.`
      : `The node has the containerd of ${found.join(" and of ")}.`,
    { hint: `Say which one the kubelet uses: --flavour ${FLAVOUR_NAMES.join("|")}.` },
  );
}

/** The unit to restart. */
export function unitOf(host: HostRoot, flavour: Flavour): string {
  const isThere = (unit: string): boolean =>
    UNIT_DIRECTORIES.some((directory) => host.exists(`${directory}/${unit}.service`));
  return flavour.units.find(isThere) ?? flavour.units[0] ?? "containerd";
}
