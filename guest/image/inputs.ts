// SPDX-License-Identifier: Apache-2.0
import { access, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { run } from "../../src/linux/run.ts";
import { type Apt, GUEST_RELEASE } from "./apt.ts";
import { sha256OfFile } from "./hashes.ts";
import type { GuestInputs } from "./manifest.ts";
import { describeNode, type NodeProgram } from "./node-program.ts";
import { resolveKernel, resolvePackages } from "./packages.ts";
import { recipeHash } from "./recipe.ts";

/** What the guest's user space is made of; apt adds what these need. */
const PACKAGES = ["busybox-static", "crun", "libatomic1", "libc6", "libstdc++6"];

export interface CollectedInputs {
  /** What determines the guest's bytes. */
  facts: GuestInputs;
  kernelPackage: string;
  node: NodeProgram;
  agentBundle: string;
}

/**
 * Finds out versions and hashes of all that the guest is made from, before anything is built.
 * @throws MukonError GUEST_INPUT_MISSING, GUEST_PACKAGE_MISSING
 */
export async function collectInputs(
  apt: Apt,
  programs: { agentBundle: string; nodePath: string },
): Promise<CollectedInputs> {
  const agentBundle = await requireFile(programs.agentBundle, "the guest's agent");
  const nodePath = await requireFile(programs.nodePath, "the Node binary");
  const node = await describeNode(nodePath);
  const kernel = await resolveKernel(apt);
  const packages = [kernel, ...(await resolvePackages(apt, PACKAGES))];
  const ffiPath = join(dirname(agentBundle), "koffi.node");
  const ffiSha256 = await sha256OfFile(ffiPath).catch(() => undefined);
  const agent = { sha256: await sha256OfFile(agentBundle) };
  const facts: GuestInputs = {
    recipe: recipeHash(),
    release: GUEST_RELEASE,
    packages,
    node: { version: node.version, sha256: node.sha256 },
    agent: ffiSha256 === undefined ? agent : { ...agent, ffiSha256 },
    erofsUtils: await erofsVersion(),
  };
  return { facts, kernelPackage: kernel.name, node, agentBundle };
}

async function requireFile(path: string, what: string): Promise<string> {
  try {
    await access(path);
    return await realpath(path);
  } catch (cause) {
    throw new MukonError("GUEST_INPUT_MISSING", `${path} (${what}) cannot be read.`, {
      hint: "Build the programs first: node scripts/build.mjs",
      cause,
    });
  }
}

/** Version 1.5 answers an unknown option with its version and a failure; newer ones know it. */
async function erofsVersion(): Promise<string> {
  const { stdout } = await run(["mkfs.erofs", "-V"], { allowFailure: true });
  return /^mkfs\.erofs\s.*?(\d\S*)/m.exec(stdout)?.[1] ?? "unknown";
}
