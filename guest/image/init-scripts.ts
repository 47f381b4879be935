// SPDX-License-Identifier: Apache-2.0

/** Modules that must be there before the image can be mounted. */
export const PMEM_MODULES = ["virtio_pmem", "nd_pmem", "erofs"];
/** Loaded in the initramfs only when the image is on a disk. */
export const DISK_MODULES = ["virtio_blk"];
/** Loaded while the agent starts: what containers' root file systems and network cards need. */
export const CONTAINER_MODULES = ["virtio_blk", "overlay", "virtio_net"];
/** In the image for whoever asks (`modprobe`, or the kernel itself). */
export const OPTIONAL_MODULES = [
  "virtiofs",
  "virtio_scsi",
  "sd_mod",
  "virtio_rng",
  "virtio_balloon",
  "virtio_mem",
  "vmw_vsock_virtio_transport",
  "veth",
  "tun",
];

export const MODULE_DIRECTORY = "/modules";
export const MOUNT_TABLE_PATH = "/mounts";

/** What the guest has mounted when its root is switched; `/newroot` is the image. */
export const MOUNT_TABLE = `\
dev /newroot/dev devtmpfs nosuid,mode=0755 0 0
pts /newroot/dev/pts devpts nosuid,noexec,gid=5,mode=0620,ptmxmode=0666 0 0
shm /newroot/dev/shm tmpfs nosuid,nodev,mode=1777 0 0
proc /newroot/proc proc nosuid,nodev,noexec 0 0
sys /newroot/sys sysfs nosuid,nodev,noexec 0 0
cgroup /newroot/sys/fs/cgroup cgroup2 nosuid,nodev,noexec 0 0
run /newroot/run tmpfs nosuid,nodev,mode=0755 0 0
tmp /newroot/tmp tmpfs nosuid,nodev,mode=1777 0 0
var /newroot/var tmpfs nosuid,nodev,mode=0755 0 0
`;

/**
 * PID 1 of the initramfs. Busybox finds its own applets by name, without files, once it can start
 * itself again through /proc. The kernel hands unknown words of its command line over as
 * environment: `mukon_probe=1` asks only whether this processor runs a guest at all, `mukon_image=disk`
 * says that the image is the first disk, not memory.
 */
export function initramfsScript(modules: { pmem: string[]; disk: string[] }): string {
  return `#!/bin/busybox sh
fail() {
  echo "mukon-init: $1"
  poweroff -f
  sleep 1000
}
/bin/busybox mount -t proc proc /proc
if [ "$mukon_probe" = 1 ]; then
  echo mukon-probe-ok
  poweroff -f
fi
mount -t devtmpfs dev /dev || fail "no /dev"
${modules.pmem.map(insmod).join("\n")}
image=/dev/pmem0
if [ "$mukon_image" = disk ]; then
  image=/dev/vda
${modules.disk.map((name) => `  ${insmod(name)}`).join("\n")}
fi
tries=0
until [ -b $image ]; do
  tries=$((tries + 1))
  [ $tries -lt 500 ] || fail "no device with the guest image: $image"
  sleep 0.01
done
mount -t erofs -o ro,dax=always $image /newroot 2>/dev/null ||
  mount -t erofs -o ro $image /newroot || fail "the guest image on $image cannot be mounted"
mkdir -p /dev/pts /dev/shm
mount -a -T ${MOUNT_TABLE_PATH} || fail "the guest's file systems cannot be mounted"
exec switch_root /newroot /usr/sbin/init
`;
}

function insmod(name: string): string {
  return `insmod ${MODULE_DIRECTORY}/${name}.ko`;
}

/**
 * PID 1 of the guest: starts the agent, reaps what nobody waits for (the shell's \`wait\` takes any
 * child), and ends the machine with the agent, so that a dead agent is a dead VM, never a silent one.
 * The agent's code runs too briefly for a compiler to pay, and an emulator has to translate what the
 * compiler makes; so it does without, and without memory that is both writable and executable.
 */
export function initScript(): string {
  return `#!/usr/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root MUKON_GUEST=1
ulimit -n 1048576
echo "+cpuset +cpu +io +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
{
  modprobe -a ${CONTAINER_MODULES.join(" ")}
  ip link set lo up
} &
/usr/bin/node --jitless /usr/lib/mukon/agent.cjs </dev/null &
wait $!
echo "mukon-init: the agent ended with code $?"
poweroff -f
`;
}
