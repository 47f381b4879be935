// SPDX-License-Identifier: Apache-2.0
import { lstatSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";

const MAX_LINKS = 40;

/**
 * A node's file system, mounted somewhere. Its symbolic links mean what they mean on the node: an
 * absolute one must not lead to the installer's own files.
 */
export class HostRoot {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory === "/" ? "" : directory.replace(/\/+$/, "");
  }

  /**
   * Where the node's `path` is for us, links followed; what is not there yet is taken literally.
   * @throws INSTALL_PATH_INVALID when links lead in a circle
   */
  at(path: string): string {
    return this.directory + this.#resolve(path);
  }

  /** The same for a link itself, rather than for what it leads to. */
  linkAt(path: string): string {
    return join(this.at(dirname(path)), path.slice(path.lastIndexOf("/") + 1));
  }

  exists(path: string): boolean {
    return lstatOf(this.at(path)) !== undefined;
  }

  #resolve(path: string): string {
    let rest = path.split("/");
    let resolved = "";
    for (let links = 0; rest.length > 0; ) {
      const [part = "", ...following] = rest;
      rest = following;
      if (part === "" || part === ".") continue;
      if (part === "..") {
        resolved = resolved.slice(0, Math.max(0, resolved.lastIndexOf("/")));
        continue;
      }
      const next = `${resolved}/${part}`;
      if (lstatOf(this.directory + next)?.isSymbolicLink() !== true) {
        resolved = next;
        continue;
      }
      if (++links > MAX_LINKS) {
        throw new MukonError(
          "INSTALL_PATH_INVALID",
          `${path} leads through more than ${MAX_LINKS} links`,
        );
      }
      const target = readlinkSync(this.directory + next);
      if (target.startsWith("/")) resolved = "";
      rest = [...target.split("/"), ...rest];
    }
    return resolved;
  }
}

function lstatOf(path: string): ReturnType<typeof lstatSync> | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
