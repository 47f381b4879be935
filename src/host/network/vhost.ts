// SPDX-License-Identifier: Apache-2.0
import { constants, openSync } from "node:fs";

const VHOST_NODE = "/dev/vhost-net";

/** The host's kernel moves the frames then, not QEMU; undefined where it does not offer to. */
export function openVhost(): number | undefined {
  try {
    return openSync(VHOST_NODE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}
