// SPDX-License-Identifier: Apache-2.0

/**
 * What Kata's two runtimes have settings for and mukon has not: known by name, so that a file
 * made for Kata gives a clear warning rather than a guess at a typing mistake.
 */
export const KATA_ONLY_KEYS: Readonly<Record<string, readonly string[]>> = {
  "hypervisor.qemu": [
    ...["rootless_user", "kernel_verity_params", "firmware", "firmware_volume", "pflashes"],
    ...["overhead_vcpus", "overhead_memory", "enable_virtio_mem", "reclaim_guest_freed_memory"],
    ...["valid_vhost_user_store_paths", "valid_jailer_paths", "valid_ctlpaths", "jailer_path"],
    ...["block_device_logical_sector_size", "block_device_physical_sector_size"],
    ...["queue_size", "num_queues", "enable_iothreads", "indep_iothreads", "hugepage_type"],
    ...["file_mem_backend", "valid_file_mem_backends", "enable_vhost_user_store"],
    ...["vhost_user_store_path", "vhost_user_reconnect_timeout_sec", "msize_9p"],
    ...["enable_iommu", "enable_iommu_platform", "enable_numa", "numa_mapping"],
    ...["cold_plug_vfio", "pcie_root_port", "pcie_switch_port"],
    ...["hotplug_vfio_on_root_bus", "guest_hook_path", "network_queues", "use_legacy_serial"],
    ...["rx_rate_limiter_max_rate", "tx_rate_limiter_max_rate"],
    ...["net_rate_limiter_bw_max_rate", "net_rate_limiter_bw_one_time_burst"],
    ...["net_rate_limiter_ops_max_rate", "net_rate_limiter_ops_one_time_burst"],
    ...["disk_rate_limiter_bw_max_rate", "disk_rate_limiter_bw_one_time_burst"],
    ...["disk_rate_limiter_ops_max_rate", "disk_rate_limiter_ops_one_time_burst"],
    ...["guest_memory_dump_path", "guest_memory_dump_paging", "enable_guest_swap"],
    ...["guest_swap_path", "guest_swap_size_percent", "guest_swap_create_threshold_secs"],
    ...["hypervisor_loglevel", "log_level", "extra_monitor_socket", "disable_nesting_checks"],
    ...["disable_selinux", "disable_guest_selinux", "confidential_guest", "sev_snp_guest"],
    ...["snp_id_block", "snp_id_auth", "snp_guest_policy", "measurement_algo", "initdata"],
    ...["tdx_quote_generation_service_socket_port", "disable_seccomp", "factory"],
  ],
  "agent.kata": [
    ...["enable_tracing", "log_level", "dial_timeout_ms", "reconnect_timeout_ms", "mem_agent"],
    ...["cdh_api_timeout", "cdh_api_timeout_ms", "create_container_timeout", "policy"],
    ...["launch_process_timeout", "visible_cdi_devices", "server_port", "log_port"],
    ...["passfd_listener_port", "health_check_request_timeout_ms"],
  ],
  runtime: [
    ...["log_level", "enable_vcpus_pinning", "guest_selinux_label", "enable_tracing"],
    ...["jaeger_endpoint", "jaeger_user", "jaeger_password", "disable_new_netns", "vfio_mode"],
    ...["experimental", "experimental_force_guest_pull", "enable_pprof", "dan_conf"],
    ...["kubelet_root_dir", "pod_resource_api_sock", "name", "agent_name", "keep_abnormal"],
    ...["shared_mounts", "use_passfd_io"],
  ],
  factory: ["vm_cache_number", "vm_cache_endpoint"],
};

/** Tables of Kata's for VMMs that mukon does not drive. */
export const KATA_ONLY_SECTIONS: readonly string[] = [
  ...["clh", "cloud-hypervisor", "firecracker", "dragonball", "stratovirt", "acrn", "openvmm"],
  "remote",
].map((name) => `hypervisor.${name}`);

/**
 * Settings of Kata's that protect the guest from others, or others from it, in a way that mukon cannot:
 * to go on without it would break what its owner relies on. By dotted key: what is missing, in words.
 */
export const REFUSED_KEYS: Readonly<Record<string, string>> = {
  "hypervisor.qemu.confidential_guest": "memory that is encrypted against the host",
  "hypervisor.qemu.sev_snp_guest": "memory that is encrypted against the host",
  "hypervisor.qemu.initdata": "data that a confidential guest is measured with",
  "agent.kata.policy": "a policy for the agent to enforce",
};

/** Settings that ask for something when they are false, not when they are true. */
export const ASKED_BY_FALSE: readonly string[] = [
  "hypervisor.qemu.disable_selinux",
  "hypervisor.qemu.disable_guest_selinux",
];
