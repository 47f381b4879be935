// SPDX-License-Identifier: Apache-2.0

/** Settings that Kata's own files for QEMU name in comments, beyond those of kata-stock.toml. */
export const KATA_COMMENTED: Readonly<Record<string, readonly string[]>> = {
  "hypervisor.qemu": [
    ...["initrd", "confidential_guest", "sev_snp_guest", "rootless", "seccompsandbox"],
    ...["memory_slots", "memory_offset", "enable_virtio_mem", "reclaim_guest_freed_memory"],
    ...["block_device_cache_set", "block_device_cache_direct", "block_device_cache_noflush"],
    ...["enable_mem_prealloc", "enable_hugepages", "enable_iommu", "enable_iommu_platform"],
    ...["file_mem_backend", "enable_debug", "extra_monitor_socket", "disable_nesting_checks"],
    ...["msize_9p", "disable_image_nvdimm", "hotplug_vfio_on_root_bus", "hot_plug_vfio"],
    ...["cold_plug_vfio", "pcie_root_port", "pcie_switch_port", "disable_vhost_net"],
    ...["entropy_source", "guest_hook_path", "rx_rate_limiter_max_rate"],
    ...["tx_rate_limiter_max_rate", "guest_memory_dump_path", "guest_memory_dump_paging"],
    ...["enable_guest_swap", "use_legacy_serial", "enable_numa", "numa_mapping"],
    ...["kernel_verity_params", "indep_iothreads", "hypervisor_loglevel"],
  ],
  factory: ["enable_template", "template_path", "vm_cache_number", "vm_cache_endpoint"],
  "agent.kata": [
    ...["enable_debug", "enable_tracing", "debug_console_enabled", "cdh_api_timeout"],
    ...["dial_timeout_ms", "reconnect_timeout_ms", "container_pipe_size"],
  ],
  runtime: [
    ...["enable_debug", "enable_vcpus_pinning", "guest_selinux_label", "enable_tracing"],
    ...["jaeger_endpoint", "jaeger_user", "jaeger_password", "disable_new_netns", "enable_pprof"],
    ...["emptydir_mode", "kubelet_root_dir", "pod_resource_api_sock"],
  ],
};
