// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";

/** What runs the guest's instructions. */
export type Accelerator = "kvm" | "tcg";

// QEMU splits its options at commas and "=", so nothing that the user writes may smuggle one in
// where it is not meant: lists of "name", "name=value", "+name", "-name" only.
const OptionList = v.pipe(
  v.string(),
  v.regex(
    /^$|^[+-]?[A-Za-z0-9_.-]+(=[A-Za-z0-9_.:-]+)?(,[+-]?[A-Za-z0-9_.-]+(=[A-Za-z0-9_.:-]+)?)*$/,
  ),
);
/** The numbers of their interrupt controllers have 8 bits, of which the machine keeps some. */
export const MOST_VCPUS = 240;
const MIB_PER_TIB = 1024 * 1024;
const TWO_MIB = 2 * 1024 * 1024;

const Vcpus = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_VCPUS));

const LaunchInput = v.object({
  qemuPath: v.pipe(v.string(), v.startsWith("/")),
  accelerator: v.picklist(["kvm", "tcg"]),
  kvmAccess: v.optional(v.picklist(["descriptor", "group"]), "group"),
  vcpus: Vcpus,
  mostVcpus: v.optional(Vcpus, 1),
  memoryMib: v.pipe(v.number(), v.integer(), v.minValue(128), v.maxValue(4 * MIB_PER_TIB)),
  hotplugMemoryMib: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MIB_PER_TIB)),
    0,
  ),
  imageSizeBytes: v.pipe(v.number(), v.integer(), v.minValue(TWO_MIB), v.multipleOf(TWO_MIB)),
  imageDriver: v.optional(v.picklist(["virtio-pmem", "virtio-blk"]), "virtio-pmem"),
  name: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/)), "pod"),
  machineAccelerators: v.optional(OptionList, ""),
  cpuFeatures: v.optional(OptionList, ""),
  kernelParams: v.optional(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
    v.pipe(v.string(), v.maxLength(1024), v.regex(/^[^\u0000-\u001f\u007f]*$/)),
    "",
  ),
  isDebug: v.optional(v.boolean(), false),
  isClone: v.optional(v.boolean(), false),
  memory: v.optional(v.picklist(["own", "template"]), "own"),
});

/**
 * What a launch plan is made from.
 *
 * - `qemuPath`: absolute path of the program.
 * - `kvmAccess`: KVM's node comes as a descriptor, or QEMU opens it itself; nothing without KVM.
 * - `mostVcpus`: how many processors the machine can have once others are plugged in; what is less than
 *   `vcpus` stands for as many.
 * - `hotplugMemoryMib`: how much memory can be plugged in while the guest runs, at once.
 * - `imageSizeBytes`: of the guest image, a multiple of 2 MiB (virtio-pmem maps huge pages).
 * - `name`: shown in the process list, so nothing secret.
 * - `machineAccelerators`, `cpuFeatures`, `kernelParams`: Kata's settings of these names.
 * - `isDebug`: the kernel and the agent say more on the console.
 * - `isClone`: the machine is filled from a saved state rather than booted; all else must be as it
 *   was for the machine that was saved.
 * - `memory`: the guest's memory is a file of this VMM's own, or its private view of a template's,
 *   which takes QEMU 8.2.
 */
export type QemuLaunchInput = v.InferInput<typeof LaunchInput>;
export type CheckedLaunchInput = v.InferOutput<typeof LaunchInput>;

/** The input with its defaults; `VMM_PLAN_INVALID` names the setting that is wrong. */
export function checkLaunchInput(input: QemuLaunchInput): CheckedLaunchInput {
  const result = v.safeParse(LaunchInput, input);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const setting = v.getDotPath(issue) ?? "input";
  throw new MukonError(
    "VMM_PLAN_INVALID",
    `QEMU cannot be started with ${setting} = ${JSON.stringify(issue.input)}: ${issue.message}`,
    { hint: `Correct ${setting} in the configuration or the annotations of the pod.` },
  );
}
