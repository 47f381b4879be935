// SPDX-License-Identifier: Apache-2.0
import type { FilterPolicy } from "../../linux/seccomp/filter.ts";

const FIONREAD = 0x541b;
const FIONBIO = 0x5421;
const FIOCLEX = 0x5451;
const TCGETS = 0x5401;
const TIOCGWINSZ = 0x5413;
const PR_SET_NAME = 15;
const PR_GET_NAME = 16;
/** Names of memory areas, which V8 and the C library give. */
const PR_SET_VMA = 0x5356_4d41;
const CLONE_THREAD = 0x1_0000;
/** New namespaces: time (in the place of the exit signal), mounts, cgroup … network. */
const CLONE_NAMESPACES = 0x80 | 0x2_0000 | 0x7e00_0000;
/** To write, to create, to truncate; O_TMPFILE needs one of them. */
const OPEN_FOR_MORE = 0o3 | 0o100 | 0o1000;

/**
 * What a keeper may ask of the kernel: to use the descriptors that it was given, memory, threads, clocks
 * and randomness, and to read files of its jail. It neither makes sockets nor runs programs.
 *
 * Node's runtime may try something new in its next version and can live without it, so what is not named
 * fails with EPERM. What nobody but an attacker would try ends the keeper, and with it the pod.
 */
export const KEEPER_POLICY: FilterPolicy = {
  allowed: [
    ...(["read", "write", "readv", "writev", "pread64", "pwrite64", "close", "lseek"] as const),
    // koffi does so at the end of the process, and hangs if it may not.
    ...(["fsync", "fdatasync"] as const),
    ...(["fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"] as const),
    ...(["readlink", "readlinkat", "getcwd", "dup", "dup3", "fcntl", "pipe2", "eventfd2"] as const),
    ...(["poll", "ppoll", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait"] as const),
    ...(["epoll_pwait2", "timerfd_create", "timerfd_settime"] as const),
    ...(["sendmsg", "recvmsg", "sendto", "recvfrom", "shutdown"] as const),
    // On the listening socket that it is given for port-forward: it cannot make one, or bind it.
    ...(["listen", "accept4"] as const),
    ...(["getsockopt", "setsockopt", "getsockname", "getpeername"] as const),
    ...(["mmap", "mprotect", "munmap", "mremap", "madvise", "mincore", "brk"] as const),
    ...(["pkey_alloc", "pkey_free", "pkey_mprotect", "membarrier"] as const),
    ...(["futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq"] as const),
    ...(["set_tid_address", "arch_prctl", "sched_yield", "sched_getaffinity"] as const),
    ...(["sched_getparam", "sched_getscheduler", "getcpu"] as const),
    ...(["rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait"] as const),
    ...(["sigaltstack", "tgkill", "restart_syscall", "exit", "exit_group"] as const),
    ...(["getpid", "getppid", "gettid", "getpgrp", "getuid", "geteuid", "getgid"] as const),
    ...(["getegid", "capget", "getrusage", "getrlimit", "sysinfo", "uname", "times"] as const),
    ...(["clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep"] as const),
    ...(["gettimeofday", "getrandom"] as const),
  ],
  checked: {
    ioctl: { index: 1, oneOf: [FIONREAD, FIONBIO, FIOCLEX, TCGETS, TIOCGWINSZ] },
    prctl: { index: 0, oneOf: [PR_SET_NAME, PR_GET_NAME, PR_SET_VMA] },
    openat: { index: 2, mask: OPEN_FOR_MORE, oneOf: [0] },
    // To read limits, not to set them.
    prlimit64: { index: 2, oneOf: [0] },
    clone: { index: 0, mask: CLONE_THREAD | CLONE_NAMESPACES, oneOf: [CLONE_THREAD] },
  },
  // Its flags are in memory, where no filter sees them.
  unknown: ["clone3"],
  deadly: [
    ...(["execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev"] as const),
    ...(["process_madvise", "pidfd_getfd", "kcmp", "bpf", "perf_event_open"] as const),
    ...(["keyctl", "add_key", "request_key", "userfaultfd", "lookup_dcookie"] as const),
    ...(["init_module", "finit_module", "delete_module", "kexec_load"] as const),
    ...(["kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl"] as const),
    ...(["mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree"] as const),
    ...(["fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"] as const),
    ...(["unshare", "setns", "open_by_handle_at", "name_to_handle_at", "mknodat"] as const),
    ...(["setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid"] as const),
    ...(["setgroups", "setfsuid", "setfsgid", "capset"] as const),
    ...(["sethostname", "setdomainname", "syslog"] as const),
    ...(["settimeofday", "clock_settime", "clock_adjtime", "adjtimex"] as const),
  ],
};
