// SPDX-License-Identifier: Apache-2.0
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { type BindOptions, bindMount } from "../../linux/mount-tree.ts";
import { listMounts } from "../../linux/mounts.ts";
import { SystemCallError } from "../../linux/system-call.ts";

/**
 * Shows a file or directory elsewhere with its ids mapped.
 * @throws ID_MAP_UNSUPPORTED when kernel or file system cannot, SHARE_FAILED for all else
 */
export function mapIds(
  source: string,
  target: string,
  options: BindOptions & { userNamespace: number },
): void {
  try {
    bindMount(source, target, options);
  } catch (cause) {
    if (cause instanceof SystemCallError) throw explain(source, cause);
    throw asMukonError(cause);
  }
}

function explain(source: string, cause: SystemCallError): MukonError {
  const { errorName, message } = cause;
  if (!message.startsWith("mount_setattr")) {
    return new MukonError("SHARE_FAILED", `${source} cannot be shared with the guest: ${message}`, {
      cause,
    });
  }
  const why: Record<string, string> = {
    ENOSYS: "this kernel has no ID-mapped mounts, which came with Linux 5.12",
    EPERM: "its ids are mapped already, or its file system belongs to another user namespace",
    EINVAL: `${fileSystemsAt(source)} cannot map ids on this kernel`,
  };
  return new MukonError(
    "ID_MAP_UNSUPPORTED",
    `${source} cannot be shared with the guest by a process without rights: ${why[errorName] ?? message}`,
    {
      hint: "put it on ext4, xfs, btrfs (Linux 5.15) or tmpfs (Linux 6.3); for root file systems use containerd's erofs snapshotter",
      cause,
    },
  );
}

/** Which file system it is on, and what is mounted below it. */
function fileSystemsAt(source: string): string {
  const mounts = listMounts();
  const own = mounts
    .filter(({ mountPoint }) => mountPoint === "/" || `${source}/`.startsWith(`${mountPoint}/`))
    .reduce((best, mount) => (mount.mountPoint.length >= best.mountPoint.length ? mount : best));
  const below = mounts.filter(({ mountPoint }) => mountPoint.startsWith(`${source}/`));
  const all = [own, ...below].map(({ fileSystem, mountPoint }) => `${fileSystem} on ${mountPoint}`);
  return all.length === 1
    ? `its file system (${all[0]})`
    : `one of its file systems (${all.join(", ")})`;
}
