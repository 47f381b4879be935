// SPDX-License-Identifier: Apache-2.0
import { chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Writes a directory tree whose modes do not depend on the umask of whoever builds it.
 * Paths start at the root of the tree, with or without a slash.
 */
export class TreeWriter {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** The path on the host of a path in the tree. */
  pathOf(path: string): string {
    return join(this.#root, path);
  }

  /** Makes a directory and those above it (0755). */
  async directory(path: string, mode = 0o755): Promise<void> {
    if (![".", "/", ""].includes(path)) await this.directory(dirname(path));
    await mkdir(this.pathOf(path), { recursive: true });
    await chmod(this.pathOf(path), mode);
  }

  async file(path: string, content: string | Buffer, mode = 0o644): Promise<void> {
    await this.directory(dirname(path));
    await writeFile(this.pathOf(path), content);
    await chmod(this.pathOf(path), mode);
  }

  async copy(path: string, source: string, mode = 0o644): Promise<void> {
    await this.directory(dirname(path));
    await copyFile(source, this.pathOf(path));
    await chmod(this.pathOf(path), mode);
  }

  async link(path: string, target: string): Promise<void> {
    await this.directory(dirname(path));
    await symlink(target, this.pathOf(path));
  }
}
