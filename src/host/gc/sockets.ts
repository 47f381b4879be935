// SPDX-License-Identifier: Apache-2.0
import { lstatSync, readdirSync, unlinkSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { shimSocketsDirectory } from "../../linux/paths.ts";
import { type GarbageOptions, isYoung, removeEach } from "./options.ts";

const CONNECT_TIMEOUT_MS = 1_000;

/** Removes shims' sockets that nobody listens on any more. */
export async function collectSockets(options: GarbageOptions): Promise<string[]> {
  const sockets = listFiles(shimSocketsDirectory()).filter(
    (path) => lstatSync(path, { throwIfNoEntry: false })?.isSocket() && !isYoung(path, options),
  );
  return await removeEach(sockets, {
    describe: (path) => `socket ${path}`,
    remove: async (path) => {
      if (!(await isDead(path))) return false;
      unlinkSync(path);
      return true;
    },
    options,
  });
}

/** Only a refused connection is proof; a slow answer is not. */
async function isDead(path: string): Promise<boolean> {
  return await new Promise((done) => {
    const socket = createConnection(path);
    const settle = (dead: boolean): void => {
      socket.destroy();
      done(dead);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(false));
    socket.once("connect", () => settle(false));
    socket.once("error", (error: NodeJS.ErrnoException) => settle(error.code === "ECONNREFUSED"));
  });
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    return [];
  }
}
