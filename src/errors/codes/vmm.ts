// SPDX-License-Identifier: Apache-2.0

/** Failures of the virtual machine monitor and of talking to it. */
export const VMM_CODES = {
  QMP_PROTOCOL: "QEMU's control socket delivered something that is not QMP.",
  QMP_CLOSED: "QEMU closed its control socket: it ended, or was killed.",
  QMP_TIMEOUT: "QEMU did not answer a control command in time.",
  QMP_COMMAND_FAILED: "QEMU refused a control command.",
  QMP_DESCRIPTORS: "A file descriptor could not be handed to QEMU.",
  VMM_PLAN_INVALID: "The virtual machine cannot be described to QEMU with these settings.",
  VMM_SLOTS_EXHAUSTED: "No free slot is left in the virtual machine for another device.",
  VMM_DISK_UNKNOWN: "The virtual machine has no disk of this name.",
  VMM_DISK_BUSY: "A disk of this name is there already, or the guest did not give it back in time.",
  VMM_DISK_LOCKED:
    "Another VM, or a program that locks as QEMU does, has the disk open for writing.",
  VMM_DISK_ACCESS: "The descriptor of a disk is open for more, or less, than the disk may do.",
  VMM_STATE_FAILED: "The state of a virtual machine could not be saved, or not be loaded.",
  VMM_MEMORY_REFUSED: "The guest did not take the memory that was added to it.",
  VMM_PROCESSORS_REFUSED:
    "The machine or its guest did not take the processors that were added to it.",
  VFIO_OFF: "A container asks for a device of the host's, and the configuration gives none.",
  VFIO_GROUP_MISSING: "A VFIO group that a container asks for is not there.",
  VFIO_GROUP_UNVIABLE: "The host itself uses a device of a VFIO group that a container asks for.",
  VFIO_DEVICE_BUSY: "A device that a container asks for is in use by another VM.",
  VFIO_REFUSED: "QEMU, or the host's kernel, refused to give a device to the guest.",
  HUGE_PAGES_UNAVAILABLE: "The host has not the huge pages that a guest's memory is to be made of.",
  ACCELERATOR_UNAVAILABLE: "The accelerator that was asked for does not run a guest on this host.",
} as const;
