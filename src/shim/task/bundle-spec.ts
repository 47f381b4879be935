// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { OciSizing } from "../../config/annotations/sizing.ts";
import { MukonError } from "../../errors/mukon-error.ts";
import { type OciSpec, parseOciSpec } from "../../guest-protocol/oci-spec.ts";
import { hostNetwork } from "../../host/network/namespace.ts";

const MAX_HOSTNAME_LENGTH = 64;

/** config.json of a bundle. @throws BUNDLE_INVALID, OCI_SPEC_INVALID, OCI_SPEC_TOO_LARGE */
export function readBundleSpec(bundle: string): OciSpec {
  const path = join(bundle, "config.json");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("BUNDLE_INVALID", `${path} cannot be read: ${why}`, { cause });
  }
  return parseOciSpec(text);
}

/** What the container may use, for the size of its VM. */
export function sizingOf(spec: OciSpec): OciSizing {
  const { memory, cpu } = spec.linux?.resources ?? {};
  return {
    memoryLimitBytes: toNumber(memory?.limit),
    cpuQuota: toNumber(cpu?.quota),
    cpuPeriod: toNumber(cpu?.period),
    cpuShares: toNumber(cpu?.shares),
  };
}

/** The guest's kernel takes 64 characters. */
export function hostnameOf(spec: OciSpec, id: string): string {
  return (spec.hostname || id).slice(0, MAX_HOSTNAME_LENGTH);
}

/**
 * Where the network is that the pod is to be seen in: the path of a namespace, or a new one, which the
 * client finds by the pid that it gets; undefined: the spec says nothing of namespaces.
 * @throws NETWORK_HOST_REFUSED
 */
export function networkNamespaceOf(spec: OciSpec): { path: string } | "new" | undefined {
  const namespaces = spec.linux?.namespaces;
  if (namespaces === undefined) return undefined;
  const network = namespaces.find(({ type }) => type === "network");
  if (network === undefined) throw hostNetwork("a pod without a network namespace");
  const { path = "" } = network;
  return path === "" ? "new" : { path };
}

function toNumber(value: number | string | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
