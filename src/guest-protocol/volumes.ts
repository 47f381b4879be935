// SPDX-License-Identifier: Apache-2.0
import { checkedContainerId } from "./container-id.ts";

const SHARED = "/run/kata-containers/shared/containers";

/** Where in the guest the copy of a volume lies, or one file of it. */
export function volumePath(volume: string, path = ""): string {
  const root = `${SHARED}/${checkedContainerId(volume)}/data`;
  return path === "" ? root : `${root}/${path}`;
}
