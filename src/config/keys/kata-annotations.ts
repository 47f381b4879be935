// SPDX-License-Identifier: Apache-2.0

const HYPERVISOR = "io.katacontainers.config.hypervisor.";
const RUNTIME = "io.katacontainers.config.runtime.";
const AGENT = "io.katacontainers.config.agent.";

/** Annotations of Kata's that change nothing in mukon, by their full names. */
export const KATA_ONLY_ANNOTATIONS: readonly string[] = [
  ...[
    ...["jailer_path", "firmware", "firmware_volume", "asset_hash_type", "kernel_verity_params"],
    ...["use_legacy_serial", "guest_hook_path", "enable_virtio_mem", "reclaim_guest_freed_memory"],
    ...["enable_guest_swap", "hugepage_type", "numa_mapping", "enable_iothreads"],
    ...["indep_iothreads", "enable_iommu", "enable_iommu_platform", "enable_vhost_user_store"],
    ...["vhost_user_store_path", "vhost_user_reconnect_timeout_sec", "blk_logical_sector_size"],
    ...["blk_physical_sector_size", "block_device_num_queues", "block_device_queue_size"],
    ...["cold_plug_vfio", "pcie_root_port", "pcie_switch_port"],
    ...["network_queues", "rx_rate_limiter_max_rate", "tx_rate_limiter_max_rate"],
    ...["default_gpus", "default_gpu_model", "virtio_fs_extra_args", "msize_9p"],
    "prefetch_files.list",
  ].map((name) => HYPERVISOR + name),
  ...[
    ...["disable_new_netns", "enable_pprof", "experimental_force_guest_pull", "experimental"],
    ...["vfio_mode", "guest_selinux_label", "name", "hypervisor_name", "agent_name"],
    ...["shared_mounts", "enable_vcpus_pinning"],
  ].map((name) => RUNTIME + name),
  ...["enable_tracing", "cdh_api_timeout", "cdh_api_timeout_ms"].map((name) => AGENT + name),
  ...["asset_hash_type", "enable_vcpus_pinning", "volume"].map(
    (name) => `io.katacontainers.${name}`,
  ),
  "io.katacontainers.container.resource.swappiness",
  "io.katacontainers.container.resource.swap_in_bytes",
];

/**
 * Annotations that ask for a protection which mukon does not have: a pod that goes on without it is not
 * the pod that was asked for. By full name: what is missing, in words.
 */
export const REFUSED_ANNOTATIONS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["kernel", "image", "initrd", "path", "jailer", "firmware", "firmware_volume"].map((name) => [
      `${HYPERVISOR}${name}_hash`,
      "a comparison of the file with a hash",
    ]),
  ),
  [`${HYPERVISOR}cc_init_data`]: "data that a confidential guest is measured with",
  [`${AGENT}policy`]: "a policy for the agent to enforce",
};

/** What runtimes write into the annotations themselves. */
export const OWN_ANNOTATIONS: readonly string[] = [
  "io.katacontainers.pkg.oci.bundle_path",
  "io.katacontainers.pkg.oci.container_type",
];
