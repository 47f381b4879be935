// SPDX-License-Identifier: Apache-2.0
import { CHECKOUT, READY_LINE } from "./names.ts";

/** Modules of a host for VMs: KVM, vhost, taps, and the network card that commands come in by. */
const MODULES = [
  ...["virtio_net", "kvm_amd", "vhost_vsock", "vhost_net", "tun", "overlay", "erofs", "loop"],
  ...["vfio_pci"],
];

const DEVICES_UNIT = `[Unit]
Description=Modules of a KVM host, and a static address on QEMU's user network
DefaultDependencies=no
Before=network.target ssh.service testhost-ready.service
After=systemd-udevd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/modprobe -a ${MODULES.join(" ")}
ExecStart=/usr/sbin/ip addr add 10.0.2.15/24 dev eth0
ExecStart=/usr/sbin/ip link set eth0 up
ExecStart=/usr/sbin/ip route add default via 10.0.2.2
[Install]
WantedBy=multi-user.target
`;

const READY_UNIT = `[Unit]
Description=Tell the console that commands can be run
After=ssh.service containerd.service testhost-devices.service testhost-machine.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo ${READY_LINE} >/dev/ttyS0'
[Install]
WantedBy=multi-user.target
`;

/**
 * The kernel rewrites its scheduler's own code when the first virtual machine of all is made, and when the
 * last one goes (the static key preempt_notifier_key). An emulator of two processors now and then has one of
 * them run into the middle of that: "Oops: int3" in __schedule, and the host is dead. So there always is a
 * virtual machine, without a processor.
 */
const MACHINE_UNIT = `[Unit]
Description=A virtual machine that is there as long as the host
After=testhost-devices.service
[Service]
Type=forking
ExecStart=/usr/bin/python3 -I /usr/local/libexec/testhost-machine
[Install]
WantedBy=multi-user.target
`;

/** KVM_CREATE_VM of linux/kvm.h, by a process that keeps what it gets. */
const MACHINE = `import fcntl, os, signal
kvm = os.open("/dev/kvm", os.O_RDWR)
fcntl.ioctl(kvm, 0xAE01, 0)
if os.fork() == 0:
    while True:
        signal.pause()
`;

/** udev looks at all devices at boot; these are those that a test can notice. */
const TRIGGER_DROP_IN = `[Service]
ExecStart=
ExecStart=-/usr/bin/udevadm trigger --type=devices --action=add --subsystem-match=block --subsystem-match=misc --subsystem-match=vfio
`;

const SLOW_MANAGER = `[Manager]
DefaultTimeoutStartSec=300s
DefaultDeviceTimeoutSec=300s
DefaultTimeoutStopSec=20s
`;

const SSH = `UseDNS no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
LoginGraceTime 300
MaxSessions 50
HostKey /etc/ssh/ssh_host_ed25519_key
`;

/**
 * Run when a host is resumed or has booted: the clock, the checkout (read-only on its disk, with a
 * writable layer on top), and the guest that the machine outside has built. A disk's content has
 * changed since the snapshot, so what is cached of it goes first.
 */
const ARRIVE = `#!/bin/sh
set -eu
date -s "@$1" >/dev/null
attach() {
  disk=/dev/disk/by-id/virtio-$1
  [ -e "$disk" ] || udevadm trigger --settle --subsystem-match=block
  blockdev --flushbufs "$disk"
  mkdir -p "/run/testhost/$1/lower" "/var/testhost/$1/upper" "/var/testhost/$1/work" "$2"
  mountpoint -q "$2" && return
  mount -t erofs -o ro "$disk" "/run/testhost/$1/lower"
  mount -t overlay -o "lowerdir=/run/testhost/$1/lower,upperdir=/var/testhost/$1/upper,workdir=/var/testhost/$1/work" "$1" "$2"
}
attach checkout ${CHECKOUT}
attach guest /var/lib/mukon/guest
`;

export interface SystemFile {
  content: string;
  mode?: number;
}

/** The files by which Debian's packages become this host, by their paths. */
export const SYSTEM_FILES: Readonly<Record<string, SystemFile>> = {
  "etc/hostname": { content: "testhost\n" },
  "etc/hosts": { content: "127.0.0.1 localhost testhost\n::1 localhost\n" },
  "etc/resolv.conf": { content: "" },
  "etc/machine-id": { content: "uninitialized\n" },
  "etc/fstab": { content: "tmpfs /tmp tmpfs size=60%,mode=1777 0 0\n" },
  "etc/nsswitch.conf": {
    content:
      "passwd: files systemd\ngroup: files systemd\nshadow: files systemd\nhosts: files dns\n",
  },
  "etc/systemd/system/testhost-devices.service": { content: DEVICES_UNIT },
  "etc/systemd/system/testhost-machine.service": { content: MACHINE_UNIT },
  "usr/local/libexec/testhost-machine": { content: MACHINE },
  "etc/systemd/system/testhost-ready.service": { content: READY_UNIT },
  "etc/systemd/system/systemd-udev-trigger.service.d/few.conf": { content: TRIGGER_DROP_IN },
  "etc/systemd/system.conf.d/slow.conf": { content: SLOW_MANAGER },
  "etc/systemd/journald.conf.d/volatile.conf": {
    content: "[Journal]\nStorage=volatile\nForwardToConsole=no\n",
  },
  "etc/ssh/sshd_config.d/testhost.conf": { content: SSH },
  "usr/local/sbin/testhost-arrive": { content: ARRIVE, mode: 0o755 },
};

/** The initramfs's script: Debian's kernel has ext4 built in, but not its disk. */
export const INITRAMFS_SCRIPT = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for module in /modules/*.ko; do $b insmod "$module"; done
until $b mount -t ext4 -o noatime,noinit_itable /dev/vda /new; do $b sleep 0.1; done
$b mount --move /dev /new/dev
exec $b switch_root /new /sbin/init
`;
