// SPDX-License-Identifier: Apache-2.0

/**
 * What a shim can need as long as it lives, as setpriv(1) names it: to give files to others and to look at
 * those of others, to start processes as others and kill them, networks, mounts and namespaces. Without the
 * rest (modules of the kernel, raw I/O, reboot, clocks, …) it is root of less. To sys_admin the kernel also
 * gives what bpf, perfmon and syslog are for; it is needed for mounts and namespaces.
 */
const NEEDED = [
  ...["chown", "dac_override", "dac_read_search", "fowner", "fsetid", "mknod"],
  ...["kill", "setuid", "setgid", "setpcap", "setfcap", "audit_write"],
  ...["net_admin", "net_bind_service", "net_raw", "ipc_lock", "sys_resource"],
  ...["sys_admin", "sys_chroot", "sys_ptrace"],
] as const;

/** Options of setpriv(1): root that executes a program has what is in its bounding set, and no more. */
export const BOUNDED: readonly string[] = [
  "--inh-caps=-all",
  `--bounding-set=-all,${NEEDED.map((name) => `+${name}`).join(",")}`,
];
