// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { formatError } from "../errors/mukon-error.ts";
import { type InstallOptions, install, uninstall } from "./install.ts";
import type { KubernetesApi } from "./kubernetes-api.ts";

export interface DaemonOptions extends InstallOptions {
  readonly api: KubernetesApi;
  readonly node: string;
  readonly daemonSet: { readonly namespace: string; readonly name: string };
  /** Made when all is in place. */
  readonly readyFile: string;
  /** How long pods are waited for when all is to be removed. */
  readonly waitMs: number;
  /** Resolves when the pod is told to end. */
  readonly ended: Promise<void>;
}

/**
 * The life of the DaemonSet's pod on one node: installs, labels the node, and waits. When it is told to
 * end, it undoes all of it if the DaemonSet is deleted, and leaves all in place otherwise: it is then
 * being replaced, or the node drained.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { api, node, say } = options;
  await install(options);
  await api.labelNode(node, true);
  say(`node ${node}: labelled`);
  writeFileSync(options.readyFile, "");
  await options.ended;
  if (await isToStay(options)) return;
  // First of all, so that no new pod comes here.
  await api.labelNode(node, false);
  say(`node ${node}: label removed`);
  await uninstall(options);
}

/** What cannot be known stays as it is. */
async function isToStay({ api, daemonSet, say }: DaemonOptions): Promise<boolean> {
  try {
    const stays = await api.staysDaemonSet(daemonSet.namespace, daemonSet.name);
    if (stays) say("the DaemonSet is still there: mukon stays installed");
    return stays;
  } catch (error) {
    say(`mukon stays installed, as the DaemonSet could not be looked at: ${formatError(error)}`);
    return true;
  }
}
