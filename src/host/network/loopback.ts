// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { catchLoopback } from "../../linux/catch-loopback.ts";
import { listenOnLoopback } from "../../linux/listen-loopback.ts";
import { inNetworkNamespace } from "../../linux/network-namespace.ts";
import type { OpenNamespace } from "./namespace.ts";

/** Where connections to a pod's loopback arrive; both descriptors are the caller's to close. */
export interface Loopback {
  /** Listens for them. */
  listener: number;
  /** They arrive there as long as this is open. */
  link: number;
}

/**
 * Catches what programs of the host's connect to on 127.0.0.1 in a pod's namespace, as CRI does for
 * `kubectl port-forward`: the pod is in its VM, and nobody listens there. No rule, interface or file
 * is made, so there is nothing to be undone. Frames of the guest's never get there: they are handed
 * over between tap device and interface before the host's kernel looks at them.
 * @throws SystemCallError
 */
export function openLoopback(namespace: OpenNamespace): Loopback {
  const listener = inNetworkNamespace(namespace.descriptor, listenOnLoopback);
  try {
    return { listener, link: catchLoopback(namespace.descriptor, listener) };
  } catch (error) {
    closeSync(listener);
    throw error;
  }
}
