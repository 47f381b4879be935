// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";

/** Not out of PATH: whoever calls us may have put anything there. */
const TOOL_DIRECTORIES = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/** @throws COMMAND_NOT_FOUND */
export function findTool(name: string): string {
  for (const directory of TOOL_DIRECTORIES) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Somewhere else, then.
    }
  }
  throw new MukonError("COMMAND_NOT_FOUND", `${name} is not installed`, {
    hint: "install it: apt-get install util-linux",
  });
}

/**
 * The tool that changes ids and drops capabilities, which has to be in every jail.
 * @throws COMMAND_NOT_FOUND
 */
export function dropTool(): string {
  return findTool("setpriv");
}
