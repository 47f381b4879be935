// SPDX-License-Identifier: Apache-2.0
import { parse } from "smol-toml";
import { MukonError } from "../../errors/mukon-error.ts";
import { type ConfigVersion, CRI_PLUGIN, isTable } from "./entry.ts";

/** containerd's configuration, as far as the installer has to understand it. */
export interface ContainerdConfig {
  readonly root: Readonly<Record<string, unknown>>;
  readonly version: ConfigVersion;
  /** Patterns of files that are read too. */
  readonly imports: readonly string[];
}

/**
 * Reads a configuration that mukon's runtimes can be added to.
 * @throws INSTALL_CONTAINERD_CONFIG for an old or unknown version, or where CRI is switched off
 */
export function parseContainerdConfig(text: string, path: string): ContainerdConfig {
  const root = parseTables(text, path);
  const version = root.version ?? 1;
  if (version !== 2 && version !== 3) throw unknownVersion(path, version);
  const disabled = Array.isArray(root.disabled_plugins) ? root.disabled_plugins : [];
  const plugin = CRI_PLUGIN[version];
  const off = disabled.find((name) => ["cri", plugin, "io.containerd.grpc.v1.cri"].includes(name));
  if (off !== undefined) {
    throw new MukonError(
      "INSTALL_CONTAINERD_CONFIG",
      `${path} switches off what serves Kubernetes: disabled_plugins has "${off}".`,
      { hint: "Take it out of the list and restart containerd; then install again." },
    );
  }
  const imports = Array.isArray(root.imports) ? root.imports.filter(isText) : [];
  return { root, version, imports };
}

/** @throws INSTALL_CONTAINERD_CONFIG when it is not TOML */
export function parseTables(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const root: unknown = parse(text, { integersAsBigInt: "asNeeded" });
    return isTable(root) ? root : {};
  } catch (error) {
    const reason = (error as Error).message.split("\n")[0] ?? "";
    throw new MukonError("INSTALL_CONTAINERD_CONFIG", `${path} is not valid TOML: ${reason}`, {
      hint: "Correct the file, with: containerd config dump",
      cause: error,
    });
  }
}

function unknownVersion(path: string, version: unknown): MukonError {
  const isOld = version === 1;
  return new MukonError(
    "INSTALL_CONTAINERD_CONFIG",
    `${path} is of version ${JSON.stringify(version)} of containerd's configuration${isOld ? ", which has no place for mukon's runtime" : ", which this mukon does not know"}.`,
    {
      hint: isOld
        ? "Write `version = 2` and version 2's names into it (containerd 2 does it: containerd config migrate), and restart containerd."
        : "Install a newer mukon, or enter the runtime by hand (deploy/containerd).",
    },
  );
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
