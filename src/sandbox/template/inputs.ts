// SPDX-License-Identifier: Apache-2.0
import { readFileSync, realpathSync, statSync } from "node:fs";
import { release } from "node:os";
import { hashOfData } from "../../../guest/image/hashes.ts";
import type { Configuration } from "../../config/keys/registry.ts";
import type { LoadedConfiguration } from "../../config/origin.ts";
import { VERSION } from "../../version.ts";
import type { Accelerator } from "../../vmm/qemu/launch-input.ts";
import { planQemuLaunch } from "../../vmm/qemu/launch-plan.ts";
import type { GuestFiles } from "../guest-files.ts";
import { machineInput, type Virtualization } from "../vmm.ts";

/** Changed whenever a template of the old kind could no longer be used. */
const FORMAT = 6;
/** The name in the plan, in place of a pod's. */
const NAME = "template";

/** A file as the file system knows it; a changed one differs, whatever its name is. */
export interface FileIdentity {
  path: string;
  device: string;
  inode: string;
  sizeBytes: string;
  modifiedNs: string;
  changedNs: string;
}

/** All that a template depends on. Nothing of it comes from a pod but the size of its machine. */
export interface TemplateInputs {
  format: number;
  mukonVersion: string;
  accelerator: Accelerator;
  /** Under KVM, what the guest sees of the host's processor: its abilities, its kernel; else "". */
  processor: string;
  /** QEMU's command line; all in it that is the host's are numbers of descriptors. */
  argv: string[];
  files: { qemu: FileIdentity; kernel: FileIdentity; initrd: FileIdentity; image: FileIdentity };
}

export interface MachineDescription extends Virtualization {
  settings: Configuration["hypervisor"]["qemu"];
  files: GuestFiles;
}

/**
 * What a template for such machines depends on.
 * @throws VMM_PLAN_INVALID, and the system's error when a file is missing
 */
export function templateInputs(machine: MachineDescription): TemplateInputs {
  const { settings, files, accelerator } = machine;
  const image = identify(files.imagePath);
  const input = machineInput(settings, machine, Number(image.sizeBytes));
  return {
    format: FORMAT,
    mukonVersion: VERSION,
    accelerator,
    processor: accelerator === "kvm" ? processor() : "",
    argv: planQemuLaunch({ ...input, name: NAME }).argv,
    files: {
      qemu: identify(settings.path),
      kernel: identify(files.kernelPath),
      initrd: identify(files.initrdPath),
      image,
    },
  };
}

/** The name of the template that is made from these inputs, and no others. */
export function templateKey(inputs: TemplateInputs): string {
  return hashOfData(inputs).slice(0, 32);
}

/** Whether what a template was made from is still there as it was; if not, nothing fits it any more. */
export function isCurrent(inputs: TemplateInputs): boolean {
  if (inputs.format !== FORMAT || inputs.mukonVersion !== VERSION) return false;
  return Object.values(inputs.files).every((file) => {
    try {
      return hashOfData(identify(file.path)) === hashOfData(file);
    } catch {
      return false;
    }
  });
}

/** Settings that make the machine, but for its size. */
const MACHINE_SETTINGS = [
  ...["path", "kernel", "image", "initrd", "kernel_params", "machine_accelerators"],
  ...["cpu_features", "accelerator", "enable_debug", "machine_type"],
].map((name) => `hypervisor.qemu.${name}`);

/**
 * Whether a pod of this configuration may start from a template. One whose annotations say more of
 * the machine than its size may not: what a pod says must not get into what other pods start from.
 * Nor one whose VMM runs as root: it could change the template. Nor one whose memory is of huge pages:
 * a template's is not, and nothing can be written into theirs without mapping them.
 */
export function mayUseTemplate(applied: LoadedConfiguration): boolean {
  const { configuration, origins } = applied;
  const { rootless, enableHugepages } = configuration.hypervisor.qemu;
  if (!configuration.factory.enableTemplate || !rootless || enableHugepages) return false;
  return !MACHINE_SETTINGS.some((key) => origins.get(key)?.kind === "annotation");
}

function identify(path: string): FileIdentity {
  const real = realpathSync(path);
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(real, { bigint: true });
  return {
    path: real,
    device: String(dev),
    inode: String(ino),
    sizeBytes: String(size),
    modifiedNs: String(mtimeNs),
    changedNs: String(ctimeNs),
  };
}

function processor(): string {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  const lines =
    info.match(/^(vendor_id|cpu family|model|model name|stepping|flags)\s*:.*$/gm) ?? [];
  return hashOfData([release(), [...new Set(lines)].sort()]);
}
