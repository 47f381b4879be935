// SPDX-License-Identifier: Apache-2.0
import type { OciMount } from "../../guest-protocol/oci-spec.ts";

/** Shows something of the host's, and what is mounted below it, in the container. */
export function bindMount(source: string, destination: string, mode: "ro" | "rw"): OciMount {
  return { source, destination, type: "bind", options: ["rbind", "rprivate", mode] };
}
