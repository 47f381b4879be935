// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { configurationVersion } from "../containerd-release.ts";

export const PAUSE_IMAGE = "local.test/pause:1";

const DEPLOY = join(import.meta.dirname, "..", "..", "..", "deploy", "containerd");

interface Places {
  /** What is the test's own. */
  directory: string;
  /** Of CNI's configuration. */
  networks: string;
}

/** More of a containerd's configuration, which begins with its version: its CRI plugin, with mukon. */
export function criConfiguration(places: Places): string {
  return configurationVersion() === 3 ? version3(places) : version2(places);
}

function version2({ directory, networks }: Places): string {
  const cri = `plugins."io.containerd.grpc.v1.cri"`;
  return `
[plugins."io.containerd.internal.v1.opt"]
  path = "${directory}/opt"
[${cri}]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  netns_mounts_under_state_dir = true
[${cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${networks}"
[${cri}.containerd]
  default_runtime_name = "mukon"
[${cri}.containerd.runtimes.mukon]
  runtime_type = "io.containerd.mukon.v2"
  pod_annotations = ["io.katacontainers.*"]
  container_annotations = ["io.katacontainers.*"]
  privileged_without_host_devices = true
${strangeRuntimes(`${cri}.containerd`)}`;
}

/** mukon's own entry is the one that users are told to import. */
function version3({ directory, networks }: Places): string {
  const runtime = "plugins.'io.containerd.cri.v1.runtime'";
  return `imports = ["${join(DEPLOY, "mukon-v3.toml")}"]
[plugins.'io.containerd.internal.v1.opt']
  path = "${directory}/opt"
[plugins.'io.containerd.grpc.v1.cri']
  stream_server_address = "127.0.0.1"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${PAUSE_IMAGE}"
[${runtime}]
  disable_apparmor = true
  netns_mounts_under_state_dir = true
[${runtime}.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "${networks}"
[${runtime}.containerd]
  default_runtime_name = "mukon"
${strangeRuntimes(`${runtime}.containerd`)}`;
}

/** One whose configuration is not there, and one whose shim is not. */
function strangeRuntimes(table: string): string {
  return `
[${table}.runtimes.lost]
  runtime_type = "io.containerd.mukon.v2"
[${table}.runtimes.lost.options]
  ConfigPath = "/nowhere/configuration.toml"
[${table}.runtimes.absent]
  runtime_type = "io.containerd.absent.v2"
`;
}
