// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import { directoryNames } from "../../linux/directory-names.ts";
import { runRoot } from "../../linux/paths.ts";

const plugin = v.looseObject({
  type: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)),
  capabilities: v.optional(v.record(v.string(), v.boolean())),
});

const network = v.object({
  cniVersion: v.optional(v.string(), "0.4.0"),
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)),
  plugins: v.pipe(v.array(plugin), v.minLength(1), v.maxLength(32)),
});

export type CniPlugin = v.InferOutput<typeof plugin>;
/** A list of CNI plugins that together make one network. */
export type CniNetwork = v.InferOutput<typeof network>;

/** What `bridge` means where no file says otherwise. */
export const DEFAULT_NETWORK = "bridge";

/** Where container engines look for networks. `MUKON_CNI_DIRECTORY` moves it, for tests. */
export function networksDirectory(): string {
  return process.env.MUKON_CNI_DIRECTORY ?? "/etc/cni/net.d";
}

/** The network of this name. @throws CNI_NETWORK_UNKNOWN, CNI_NETWORK_INVALID */
export function findNetwork(name: string): CniNetwork {
  const found = networkFiles().flatMap((file) => {
    const parsed = readNetwork(file);
    return parsed === undefined || nameOf(parsed) !== name ? [] : [{ file, parsed }];
  })[0];
  if (found !== undefined) return checkNetwork(found.file, found.parsed);
  if (name === DEFAULT_NETWORK) return defaultNetwork();
  throw new MukonError(
    "CNI_NETWORK_UNKNOWN",
    `no file in ${networksDirectory()} describes a network ${JSON.stringify(name)}`,
    { hint: `use --network ${DEFAULT_NETWORK}, or write a .conflist for it` },
  );
}

/** A bridge of mukon's own, whose addresses are given out anew after each boot. */
export function defaultNetwork(): CniNetwork {
  return {
    cniVersion: "1.0.0",
    name: DEFAULT_NETWORK,
    plugins: [
      {
        ...{ type: "bridge", bridge: "mukon0", isGateway: true, ipMasq: true, hairpinMode: true },
        ipam: {
          type: "host-local",
          dataDir: join(runRoot(), "cni"),
          ranges: [[{ subnet: "10.87.0.0/16" }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
}

function networkFiles(): string[] {
  return directoryNames(networksDirectory())
    .filter((name) => /\.(?:conflist|conf|json)$/.test(name))
    .sort()
    .map((name) => join(networksDirectory(), name));
}

/** Undefined: no JSON, which another network must not suffer from. */
function readNetwork(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}

function nameOf(parsed: unknown): unknown {
  return typeof parsed === "object" && parsed !== null && "name" in parsed
    ? parsed.name
    : undefined;
}

/** A file may also hold one plugin by itself. */
function checkNetwork(file: string, parsed: unknown): CniNetwork {
  const isList = typeof parsed === "object" && parsed !== null && "plugins" in parsed;
  const value = isList ? parsed : { ...(parsed as object), plugins: [parsed] };
  const result = v.safeParse(network, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new MukonError(
    "CNI_NETWORK_INVALID",
    `${file} is no CNI network: ${v.getDotPath(issue) ?? ""} ${issue.message}`,
    { hint: "the format is that of the CNI specification, section 1" },
  );
}
