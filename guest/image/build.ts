// SPDX-License-Identifier: Apache-2.0
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { type Apt, prepareApt, refreshIndex } from "./apt.ts";
import { findArchive } from "./archive.ts";
import { BUSYBOX_CONFIG, writeBusyboxTree } from "./busybox-image.ts";
import { makeErofs } from "./erofs.ts";
import { hashOfData } from "./hashes.ts";
import { DISK_MODULES, PMEM_MODULES } from "./init-scripts.ts";
import { writeInitrd } from "./initrd.ts";
import { type CollectedInputs, collectInputs } from "./inputs.ts";
import { extractKernel } from "./kernel.ts";
import { describeGuest, GUEST_FILES, type GuestManifest } from "./manifest.ts";
import { readModules } from "./modules.ts";
import { fetchPackage, tidyPackages, unpackPackage } from "./packages.ts";
import { IMAGE_MODULES, writeRootTree } from "./root-image.ts";
import { findGuest, publishGuest, selectGuest } from "./store.ts";
import { inWorkspace } from "./workspace.ts";

export interface BuildGuestOptions {
  /** Directory that holds the guests, `<state>/guest`. Made when it is not there. */
  outputRoot: string;
  /** The agent's program; a `koffi.node` beside it goes into the image too. */
  agentBundle: string;
  /** The Node binary for the guest; default: the one that runs this. */
  nodePath?: string;
  /** Takes one line per long step. */
  log: (line: string) => void;
  /** Builds even when a guest of the same inputs is there. */
  isForced?: boolean;
  /** Ends the build early; SIGINT and SIGTERM do the same. */
  signal?: AbortSignal;
}

/** Paths in the temporary directory of one build. */
interface BuildPlan {
  apt: Apt;
  inputs: CollectedInputs;
  workPath: string;
  stagePath: string;
  packagesPath: string;
  kernelPath: string;
  signal: AbortSignal;
}

/**
 * Builds kernel, initramfs, guest image and the built-in container image out of Debian packages
 * and makes them the current guest. Nothing is installed on the host. The same inputs give the
 * same bytes; when a guest of the same inputs is there, it is made current and nothing is built.
 * @throws MukonError one of the GUEST_ codes
 */
export async function buildGuest(options: BuildGuestOptions): Promise<GuestManifest> {
  const { outputRoot, log } = options;
  const workspace = { root: outputRoot, log, signal: options.signal };
  return inWorkspace(workspace, async (workPath, signal) => {
    const apt = await prepareApt(join(outputRoot, "packages"), await findArchive(), signal);
    await refreshIndex(apt, log);
    const inputs = await collectInputs(apt, {
      agentBundle: options.agentBundle,
      nodePath: options.nodePath ?? process.execPath,
    });
    const existing = await findGuest(outputRoot, hashOfData(inputs.facts));
    if (existing !== undefined && options.isForced !== true) {
      await selectGuest(outputRoot, existing);
      await tidyPackages(apt, inputs.facts.packages);
      log(`The guest is up to date: ${existing.contentHash}`);
      return existing;
    }
    const plan = await unpackAll({ apt, inputs, workPath, signal, log });
    const manifest = await makeFiles(plan, log);
    signal.throwIfAborted();
    await publishGuest(outputRoot, plan.stagePath, manifest);
    await tidyPackages(apt, inputs.facts.packages);
    log(`Built the guest ${manifest.contentHash} (Linux ${manifest.kernelRelease})`);
    return manifest;
  });
}

async function unpackAll(given: {
  apt: Apt;
  inputs: CollectedInputs;
  workPath: string;
  signal: AbortSignal;
  log: (line: string) => void;
}): Promise<BuildPlan> {
  const { apt, inputs, workPath, signal, log } = given;
  const directory = async (name: string): Promise<string> => {
    await mkdir(join(workPath, name));
    return join(workPath, name);
  };
  const plan: BuildPlan = {
    apt,
    inputs,
    workPath,
    signal,
    stagePath: await directory("stage"),
    packagesPath: await directory("packages"),
    kernelPath: await directory("kernel"),
  };
  for (const wanted of inputs.facts.packages) {
    const path = await fetchPackage(apt, wanted, log);
    const isKernel = wanted.name === inputs.kernelPackage;
    await unpackPackage(path, isKernel ? plan.kernelPath : plan.packagesPath, signal);
  }
  return plan;
}

async function makeFiles(plan: BuildPlan, log: (line: string) => void): Promise<GuestManifest> {
  const { stagePath, packagesPath, workPath, signal } = plan;
  const kernelRelease = await releaseOf(plan.kernelPath);
  log(`Unpacking the kernel ${kernelRelease}`);
  const stage = (name: keyof typeof GUEST_FILES): string => join(stagePath, GUEST_FILES[name]);
  await extractKernel(join(plan.kernelPath, "boot", `vmlinuz-${kernelRelease}`), stage("kernel"));
  const moduleTree = join(plan.kernelPath, "usr/lib/modules", kernelRelease);
  const bootModules = [...PMEM_MODULES, ...DISK_MODULES];
  const wanted = [...new Set([...bootModules, ...IMAGE_MODULES])];
  const modules = await readModules(moduleTree, wanted, join(workPath, "modules"));
  const busyboxPath = join(packagesPath, "usr/bin/busybox");
  await writeInitrd(stage("initrd"), busyboxPath, modules);
  log("Writing the guest's image (Node, agent, crun)");
  const { node, agentBundle } = plan.inputs;
  const rootPath = join(workPath, "root");
  await writeRootTree(rootPath, { packagesPath, node, agentBundle, kernelRelease, modules });
  await makeErofs(rootPath, stage("image"), signal);
  log("Writing the built-in container image (busybox)");
  await writeBusyboxTree(join(workPath, "busybox"), busyboxPath);
  await makeErofs(join(workPath, "busybox"), stage("busybox"), signal);
  await writeFile(stage("busyboxConfig"), `${JSON.stringify(BUSYBOX_CONFIG, null, 2)}\n`);
  return describeGuest(stagePath, plan.inputs.facts, kernelRelease);
}

async function releaseOf(kernelPath: string): Promise<string> {
  const names = await readdir(join(kernelPath, "boot"));
  const release = names.map((name) => /^vmlinuz-(.+)$/.exec(name)?.[1]).find(Boolean);
  if (release !== undefined) return release;
  throw new MukonError("GUEST_KERNEL_INVALID", `The kernel package holds no /boot/vmlinuz.`, {
    hint: "Report the version of the kernel package; mukon must learn its form.",
  });
}
