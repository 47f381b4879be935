// SPDX-License-Identifier: Apache-2.0
import { lstatSync, rmSync } from "node:fs";

/** The path that this shim's socket was linked to: a later shim of the same name may have it now. */
export class OwnSocket {
  readonly #path: string;
  readonly #inode: bigint | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#inode = inodeOf(path);
  }

  /** Whether clients can still find this shim. */
  get isThere(): boolean {
    return this.#inode !== undefined && inodeOf(this.#path) === this.#inode;
  }

  remove(): void {
    if (this.isThere) rmSync(this.#path, { force: true });
  }
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
