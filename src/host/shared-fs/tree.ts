// SPDX-License-Identifier: Apache-2.0
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { mountTmpfs, shareMount } from "../../linux/mount-tree.ts";
import { listMounts, unmount } from "../../linux/mounts.ts";
import { sandboxDirectory, sharedDirectory } from "../../linux/paths.ts";
import { openUserNamespace } from "../../linux/user-namespace.ts";
import { fileIdMap, type PodIdentity } from "../identity/types.ts";
import type { Journal } from "../journal/journal.ts";
import { ensureRootOnlyDirectory } from "../run-directories.ts";
import { mapIds } from "./map-ids.ts";
import { mountLayers, type OverlayLayers } from "./overlay.ts";

/** Host ids 0: who mounts an overlay must be able to own its upper layer's work directory. */
const MOUNTER_ID = 65_536;
/** For mount points alone. */
const TREE_OPTIONS = "size=4m,nr_inodes=16384,mode=0700";
const LAYERS = "layers";

export interface SharedBind {
  source: string;
  isReadOnly: boolean;
  /** With what is mounted below the source. */
  isRecursive: boolean;
}

/**
 * The directory that a pod's guest sees of the host: a tmpfs that is root's, with a mount for each
 * root file system and each volume. Ids are mapped on the way: what belongs to 0 on disk belongs to
 * the first id of the pod's block here, which is the guest's 0.
 */
export class SharedTree {
  /** What virtiofsd serves. */
  readonly directory: string;
  /** Of the user namespace that virtiofsd runs in; ours to close. */
  readonly userNamespace: number;
  readonly #upperNamespace: number;
  readonly #layersDirectory: string;

  private constructor(key: string, namespaces: { files: number; upper: number }) {
    this.directory = join(sharedDirectory(), key, "tree");
    this.userNamespace = namespaces.files;
    this.#upperNamespace = namespaces.upper;
    this.#layersDirectory = join(sandboxDirectory(key), LAYERS);
  }

  /**
   * Makes the tree, which is in the journal first.
   * @throws USER_NAMESPACE_FAILED
   */
  static async create(identity: PodIdentity, journal: Journal): Promise<SharedTree> {
    const map = fileIdMap(identity.block.base);
    const files = await openUserNamespace(map);
    let upper: number | undefined;
    try {
      upper = await openUserNamespace([...map, [MOUNTER_ID, 0, 1]]);
      const tree = new SharedTree(journal.key, { files, upper });
      tree.#make(journal);
      return tree;
    } catch (error) {
      closeSync(files);
      if (upper !== undefined) closeSync(upper);
      throw error;
    }
  }

  /** Shows a file or directory of the host's under `name`. @throws ID_MAP_UNSUPPORTED, SHARE_FAILED */
  addBind(name: string, bind: SharedBind): void {
    this.#add(name, bind.source, (target) =>
      mapIds(bind.source, target, {
        userNamespace: this.userNamespace,
        readOnly: bind.isReadOnly,
        isRecursive: bind.isRecursive,
      }),
    );
  }

  /** Puts an overlay together under `name`. @throws ID_MAP_UNSUPPORTED, SHARE_FAILED, OVERLAY_READ_ONLY */
  addOverlay(name: string, layers: OverlayLayers): void {
    this.#add(name, undefined, (target) =>
      mountLayers(layers, {
        target,
        workDirectory: this.#layersDirectory,
        userNamespace: this.userNamespace,
        upperNamespace: this.#upperNamespace,
      }),
    );
  }

  /** Takes away what has this name, also for a guest that still uses it. */
  remove(name: string): void {
    const target = this.#pathOf(name);
    const points = listMounts()
      .map(({ mountPoint }) => mountPoint)
      .filter((point) => point === target || point.startsWith(`${target}/`));
    for (const point of points.reverse()) unmount(point, { lazy: true });
    // Without what was mounted on it, it is an empty directory, or an empty file.
    if (lstatSync(target, { throwIfNoEntry: false })?.isDirectory() === true) rmdirSync(target);
    else rmSync(target, { force: true });
  }

  close(): void {
    closeSync(this.userNamespace);
    closeSync(this.#upperNamespace);
  }

  #make(journal: Journal): void {
    ensureRootOnlyDirectory(sharedDirectory());
    const top = join(sharedDirectory(), journal.key);
    journal.append({ type: "directory", path: top });
    mkdirSync(top, { mode: 0o700 });
    mountTmpfs(top, TREE_OPTIONS);
    shareMount(top);
    mkdirSync(this.directory, { mode: 0o755 });
    chmodSync(this.directory, 0o755);
    mkdirSync(this.#layersDirectory, { mode: 0o700 });
  }

  #add(name: string, source: string | undefined, mount: (target: string) => void): void {
    const target = this.#pathOf(name);
    const isFile = source !== undefined && statSync(source, { throwIfNoEntry: false })?.isFile();
    if (isFile === true) writeFileSync(target, "", { flag: "wx", mode: 0o644 });
    else mkdirSync(target, { mode: 0o755 });
    try {
      mount(target);
    } catch (error) {
      this.remove(name);
      throw error;
    }
  }

  #pathOf(name: string): string {
    if (/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)) return join(this.directory, name);
    throw new Error(`${JSON.stringify(name)} cannot be the name of a share`);
  }
}
