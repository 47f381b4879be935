// SPDX-License-Identifier: Apache-2.0
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OverlayLayers } from "../../host/shared-fs/overlay.ts";
import { listMounts, type Mount } from "../../linux/mounts.ts";
import { readOverlay } from "./overlay-options.ts";

/** Beside the upper layer, where whoever owns that removes it at the latest. */
const WORK = "mukon-work";

/**
 * The layers of an overlay that a client has mounted itself, as Docker does; undefined: there is none at
 * the path. No kernel maps the ids of an overlay, but those of its layers, so the guest gets another
 * overlay of the same ones, with a work directory of its own: that of the first is in use. Docker only
 * looks at its own meanwhile.
 * @throws ROOTFS_UNSUPPORTED
 */
export function mountedOverlay(
  path: string,
  mounts: readonly Mount[] = listMounts(),
): OverlayLayers | undefined {
  const mount = mounts.findLast(({ mountPoint }) => mountPoint === path);
  if (mount?.fileSystem !== "overlay") return undefined;
  const layers = readOverlay({ options: mount.superOptions });
  // Docker names layers by short links.
  const lower = layers.lower.map((layer) => realpathSync(layer));
  if (layers.upper === undefined) return { ...layers, lower };
  const directory = realpathSync(layers.upper.directory);
  const work = join(dirname(directory), WORK);
  return { ...layers, lower, upper: { directory, work, isWorkNew: true } };
}
