// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { run } from "../../linux/run.ts";
import type { CniNetwork, CniPlugin } from "./networks.ts";

const PLUGIN_DIRECTORIES = ["/usr/lib/cni", "/opt/cni/bin"];
const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;
const INTERFACE = "eth0";

/** A port of the host's that leads into the pod. */
export interface PortMapping {
  hostIP: string;
  hostPort: number;
  containerPort: number;
  protocol: "tcp" | "udp";
}

/** Who is to be in the network. */
export interface CniTarget {
  id: string;
  /** Path of the network namespace. */
  namespace: string;
  ports: readonly PortMapping[];
}

const result = v.looseObject({
  ips: v.optional(v.array(v.looseObject({ address: v.string() })), []),
  dns: v.optional(v.looseObject({ nameservers: v.optional(v.array(v.string()), []) })),
});
/** What the plugins have made, as they say it; the one after is told, and DEL too. */
export type CniResult = v.InferOutput<typeof result>;

/** Runs the plugins of a network one after the other. @throws CNI_FAILED, CNI_PLUGIN_MISSING */
export async function addToNetwork(network: CniNetwork, target: CniTarget): Promise<CniResult> {
  let previous: CniResult | undefined;
  for (const plugin of network.plugins) {
    const text = await runPlugin("ADD", { network, plugin, target, previous });
    previous = v.parse(result, JSON.parse(text));
  }
  return previous ?? { ips: [] };
}

/**
 * The other way round, also for what was only half made. A plugin that fails does not keep the
 * others from it; one that is not installed has made nothing that could be taken back here.
 * @throws CNI_FAILED of the first that failed
 */
export async function removeFromNetwork(
  network: CniNetwork,
  target: CniTarget,
  previous: CniResult | undefined,
): Promise<void> {
  const failures: MukonError[] = [];
  for (const plugin of network.plugins.toReversed()) {
    await runPlugin("DEL", { network, plugin, target, previous }).catch((error: unknown) => {
      const known = asMukonError(error);
      if (known.code !== "CNI_PLUGIN_MISSING") failures.push(known);
    });
  }
  if (failures[0] !== undefined) throw failures[0];
}

interface PluginCall {
  network: CniNetwork;
  plugin: CniPlugin;
  target: CniTarget;
  previous: CniResult | undefined;
}

async function runPlugin(command: "ADD" | "DEL", call: PluginCall): Promise<string> {
  const { network, plugin, target, previous } = call;
  const isMapping = plugin.capabilities?.portMappings === true && target.ports.length > 0;
  const { capabilities: _, ...own } = plugin;
  const input = JSON.stringify({
    ...own,
    cniVersion: network.cniVersion,
    name: network.name,
    ...(isMapping ? { runtimeConfig: { portMappings: target.ports } } : {}),
    ...(previous === undefined ? {} : { prevResult: previous }),
  });
  const outcome = await run([findPlugin(plugin.type)], {
    input,
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: target.id,
      CNI_NETNS: target.namespace,
      CNI_IFNAME: INTERFACE,
      CNI_ARGS: "IgnoreUnknown=1",
      CNI_PATH: PLUGIN_DIRECTORIES.join(":"),
    },
    allowFailure: true,
    timeoutMs: TIMEOUT_MS,
    maxOutputBytes: MAX_OUTPUT_BYTES,
  });
  if (outcome.code === 0) return outcome.stdout;
  throw failed(`${plugin.type} ${command}`, `${outcome.stdout}${outcome.stderr}`.trim());
}

function findPlugin(type: string): string {
  for (const directory of PLUGIN_DIRECTORIES) {
    const path = join(directory, type);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Somewhere else, then.
    }
  }
  throw new MukonError("CNI_PLUGIN_MISSING", `the CNI plugin ${type} is not installed`, {
    hint: "install it: apt-get install containernetworking-plugins",
  });
}

function failed(what: string, said: string): MukonError {
  const isTableMissing = /iptables|nft/.test(said) && /not found|no such file/i.test(said);
  return new MukonError("CNI_FAILED", `the CNI plugin ${what} failed: ${said.slice(0, 1000)}`, {
    ...(isTableMissing ? { hint: "install iptables: apt-get install iptables" } : {}),
  });
}
