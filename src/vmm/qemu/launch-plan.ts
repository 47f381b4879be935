// SPDX-License-Identifier: Apache-2.0
import { bayArguments } from "./bay.ts";
import { kernelCommandLine } from "./kernel-command-line.ts";
import { type CheckedLaunchInput, checkLaunchInput, type QemuLaunchInput } from "./launch-input.ts";
import { CONFINED_ARGUMENTS, MEMORY_ID, machineArguments } from "./machine.ts";

/**
 * What a descriptor of QEMU is: a connected socket, the guest's memory, a file to read, KVM.
 * `processors` is a table of as many as {@link mostVcpusOf} says.
 */
export type DescriptorSlot =
  | "qmp"
  | "agent"
  | "console"
  | "kernel"
  | "initrd"
  | "image"
  | "memory"
  | "processors"
  | "state"
  | "kvm";

/** How to start QEMU: the descriptors, in order, become 3, 4, 5 and so on of the child. */
export interface LaunchPlan {
  argv: string[];
  descriptors: readonly DescriptorSlot[];
}

/** Name of the port that the agent in the guest listens on. */
export const AGENT_PORT_NAME = "mukon.agent";
/** Slots of the root bus; two bridges for disks that are plugged in later, see disk-slots.ts. */
export const BRIDGE_SLOTS: readonly number[] = [5, 6];

const FIRST_DESCRIPTOR = 3;
const DESCRIPTORS: readonly DescriptorSlot[] = [
  "qmp",
  "agent",
  "console",
  "kernel",
  "initrd",
  "image",
  "memory",
  "processors",
];
/** Where a clone finds the state that it is to be filled with. */
export const STATE_DESCRIPTOR = FIRST_DESCRIPTOR + DESCRIPTORS.length;
/** Sets of descriptors that QEMU gets at its start; see bay.ts and disks.ts for those that come later. */
const IMAGE_SET = 1;
const KVM_SET = 2;
const BYTES_PER_MIB = 1024 * 1024;
/** All further memory of a pod is one device. */
const MEMORY_SLOTS = 1;
/** Address space that memory devices lose because each begins at a round address. */
const SPARE_MEMORY_MIB = 1024;

/**
 * The command line of a pod's QEMU: stopped (`-S`) until the keeper says go. Pure: the same input
 * gives the same plan. Everything of the host's comes as a descriptor; files must be readable for
 * QEMU's user by their mode, since it opens them again through /proc.
 *
 * Errors: `VMM_PLAN_INVALID`.
 */
export function planQemuLaunch(input: QemuLaunchInput): LaunchPlan {
  const checked = checkLaunchInput(input);
  const imageMib = checked.imageSizeBytes / BYTES_PER_MIB;
  const mostMib = checked.memoryMib + checked.hotplugMemoryMib + imageMib + SPARE_MEMORY_MIB;
  const isKvmGiven = checked.accelerator === "kvm" && checked.kvmAccess === "descriptor";
  const descriptors: DescriptorSlot[] = [
    ...DESCRIPTORS,
    ...(checked.isClone ? (["state"] as const) : []),
    ...(isKvmGiven ? (["kvm"] as const) : []),
  ];
  const kvm = FIRST_DESCRIPTOR + descriptors.indexOf("kvm");
  const mostVcpus = mostVcpusOf(checked);
  const argv = [
    checked.qemuPath,
    ...["-name", `${checked.name},debug-threads=on`, "-S"],
    ...CONFINED_ARGUMENTS,
    ...(isKvmGiven ? ["-add-fd", `fd=${kvm},set=${KVM_SET}`] : []),
    ...machineArguments({
      ...checked,
      hasMemoryObject: true,
      kvmDevice: isKvmGiven ? `/dev/fdset/${KVM_SET}` : undefined,
    }),
    ...["-smp", `${checked.vcpus},maxcpus=${mostVcpus},sockets=1,cores=${mostVcpus},threads=1`],
    ...["-acpitable", `file=${path("processors")}`],
    ...["-m", `size=${checked.memoryMib}M,slots=${MEMORY_SLOTS},maxmem=${mostMib}M`],
    ...memoryArguments(checked),
    ...["-kernel", path("kernel"), "-initrd", path("initrd")],
    ...["-append", kernelCommandLine(checked)],
    ...controlArguments(),
    ...bridgeArguments(),
    ...imageArguments(checked),
    ...bayArguments(),
    // Deferred: the keeper first has to say what of the state is not to be filled in.
    ...(checked.isClone ? ["-incoming", "defer"] : []),
  ];
  return { argv, descriptors };
}

/** How many processors the machine can have. */
export function mostVcpusOf({ vcpus, mostVcpus = 1 }: QemuLaunchInput): number {
  return Math.max(vcpus, mostVcpus);
}

/**
 * Memory of the pod's own is a file in memory that others can map too (vhost-user devices). A
 * template's is mapped for this VMM alone: what it writes, it gets a copy of (MAP_PRIVATE), and the
 * file cannot be written, since it is open for reading.
 */
function memoryArguments(input: CheckedLaunchInput): string[] {
  const access = input.memory === "own" ? "share=on" : "share=off,readonly=on,rom=off";
  const file = `size=${input.memoryMib}M,mem-path=${path("memory")},${access}`;
  return ["-object", `memory-backend-file,id=${MEMORY_ID},${file}`];
}

function controlArguments(): string[] {
  return [
    ...["-chardev", socket("qmp"), "-mon", "chardev=qmp,mode=control"],
    ...["-chardev", socket("console"), "-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci-non-transitional,id=ports,bus=pcie.0,addr=0x2,max_ports=2"],
    ...["-chardev", socket("agent")],
    ...["-device", `virtserialport,bus=ports.0,nr=1,chardev=agent,name=${AGENT_PORT_NAME}`],
  ];
}

/** The root bus of a q35 machine takes no new devices while it runs; these bridges do. */
function bridgeArguments(): string[] {
  return BRIDGE_SLOTS.flatMap((slot, index) => [
    "-device",
    `pci-bridge,id=${bridgeId(index)},bus=pcie.0,addr=0x${slot.toString(16)},chassis_nr=${index + 1}`,
  ]);
}

/** QEMU's name of a bridge. */
export function bridgeId(index: number): string {
  return `bridge${index}`;
}

/**
 * The guest's own system: mapped read-only and shared, so that all VMs use the same pages of the
 * host's cache, and the guest reads them in place (DAX).
 */
function imageArguments(input: CheckedLaunchInput): string[] {
  if (input.imageDriver === "virtio-pmem") {
    return [
      "-object",
      `memory-backend-file,id=image,size=${input.imageSizeBytes},mem-path=${path("image")},readonly=on,share=on`,
      ...["-device", "virtio-pmem-pci,id=image0,memdev=image,bus=pcie.0,addr=0x3"],
    ];
  }
  return [
    ...["-add-fd", `fd=${descriptor("image")},set=${IMAGE_SET}`],
    "-blockdev",
    `driver=raw,node-name=image,read-only=on,file.driver=file,file.filename=/dev/fdset/${IMAGE_SET}`,
    ...["-device", "virtio-blk-pci-non-transitional,id=image0,drive=image,bus=pcie.0,addr=0x3"],
  ];
}

function descriptor(slot: DescriptorSlot): number {
  return FIRST_DESCRIPTOR + DESCRIPTORS.indexOf(slot);
}

function path(slot: DescriptorSlot): string {
  return `/proc/self/fd/${descriptor(slot)}`;
}

function socket(slot: DescriptorSlot): string {
  return `socket,id=${slot},fd=${descriptor(slot)}`;
}
