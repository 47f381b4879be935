// SPDX-License-Identifier: Apache-2.0
import { closeSync, existsSync } from "node:fs";
import { asMukonError } from "../../errors/mukon-error.ts";
import { tryMapIds } from "../../linux/mount-tree.ts";
import { openUserNamespace } from "../../linux/user-namespace.ts";
import { findDaemon } from "../shared-fs/daemon.ts";
import type { CheckResult } from "./types.ts";

const NAME = "shared-fs";
/** Where containerd and kubelet keep what pods share; the root's file system for all else. */
const DIRECTORIES = ["/var/lib/containerd", "/var/lib/kubelet", "/"];
/** Any ids do: nothing is done with the files. */
const PROBE_MAP = [[0, 0x7ffe_0000, 65_536]] as const;

export interface SharedFsSettings {
  sharedFs: "none" | "virtio-fs";
  virtioFsDaemon: string;
}

/** Whether files can be shared with guests: virtiofsd, and file systems that map ids. */
export async function checkSharedFs(settings: SharedFsSettings): Promise<CheckResult> {
  if (settings.sharedFs === "none") {
    return { name: NAME, status: "ok", message: 'switched off (shared_fs = "none")' };
  }
  try {
    const { path } = await findDaemon(settings.virtioFsDaemon);
    const refused = await directoriesThatCannot();
    if (refused.length === 0) return { name: NAME, status: "ok", message: path };
    return {
      name: NAME,
      status: "warning",
      message: `ids cannot be mapped on ${refused.join(", ")}, so nothing there can be shared with a guest`,
      remedy:
        "use ext4, xfs or btrfs and Linux 5.19 or later, or containerd's erofs snapshotter, which needs no sharing",
    };
  } catch (error) {
    const { message, hint } = asMukonError(error);
    return {
      ...{ name: NAME, status: "warning", message },
      remedy: hint ?? 'set shared_fs = "none" in [hypervisor.qemu]',
    };
  }
}

async function directoriesThatCannot(): Promise<string[]> {
  const namespace = await openUserNamespace(PROBE_MAP);
  try {
    return DIRECTORIES.filter(existsSync).flatMap((directory) => {
      const errorName = tryMapIds(directory, namespace);
      return errorName === undefined ? [] : [`${directory} (${errorName})`];
    });
  } finally {
    closeSync(namespace);
  }
}
