// SPDX-License-Identifier: Apache-2.0
import type { FilterPolicy } from "../linux/seccomp/filter.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
/** Whatever the family chooses; ICMP, TCP, UDP, ICMPv6. Of netlink, 0 is for routes. */
const PROTOCOLS = [0, 1, 6, 17, 58];

/**
 * What passt may not even try, whatever its own filter (which comes on top of this, and is a list of a
 * few dozen calls that are allowed) makes of it.
 *
 * A network namespace of its own would keep it from unix sockets without a path, from virtual machines
 * (vsock) and from lists of the host's sockets; it has none, so sockets of those families cannot be had.
 * What it does to shut itself in, and ends if it cannot, has been done to it by its jail: in there it
 * would need a user namespace, which nobody gets.
 */
export const PASST_POLICY: FilterPolicy = {
  allowed: [],
  checked: {
    socket: [
      { index: 0, oneOf: [AF_INET, AF_INET6, AF_NETLINK] },
      { index: 2, oneOf: PROTOCOLS },
    ],
    socketpair: { index: 0, oneOf: [] },
  },
  unknown: ["io_uring_setup"],
  skipped: ["unshare", "mount", "pivot_root", "umount2", "chdir"],
  deadly: [
    ...(["ptrace", "process_vm_readv", "process_vm_writev", "process_madvise"] as const),
    ...(["pidfd_getfd", "kcmp", "bpf", "perf_event_open", "keyctl", "add_key"] as const),
    ...(["request_key", "userfaultfd", "init_module", "finit_module", "delete_module"] as const),
    ...(["kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct"] as const),
    ...(["quotactl", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig"] as const),
    ...(["fsmount", "fspick", "mount_setattr", "setns", "open_by_handle_at"] as const),
    ...(["mknodat", "sethostname", "setdomainname", "syslog", "settimeofday"] as const),
    ...(["clock_settime", "lookup_dcookie"] as const),
  ],
  otherwise: "allowed",
};
