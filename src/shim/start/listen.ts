// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { dirname } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";

const ATTEMPTS = 5;
const CONNECT_TIMEOUT_MS = 2_000;

/** A listening socket; its server must not be closed, which would remove the path. */
export interface ListeningSocket {
  server: Server;
  descriptor: number;
}

/**
 * Listens on a path that nobody else listens on; undefined: somebody does already. The socket is
 * bound under another name and then linked, so that of two callers at once only one gets the path.
 * @throws SHIM_SOCKET
 */
export async function listenOn(path: string): Promise<ListeningSocket | undefined> {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(4).toString("hex")}`;
  const server = await bind(temporary);
  try {
    chmodSync(temporary, 0o600);
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (isLinked(temporary, path)) return { server, descriptor: descriptorOf(server) };
      if (await isAlive(path)) {
        server.close();
        return undefined;
      }
      removeStale(path);
    }
  } finally {
    rmSync(temporary, { force: true });
  }
  throw new MukonError("SHIM_SOCKET", `${path} cannot be had: another shim takes it each time`);
}

/** Whether a process accepts connections there. */
export async function isAlive(path: string): Promise<boolean> {
  return await new Promise((done) => {
    const socket = createConnection(path);
    const settle = (alive: boolean): void => {
      socket.destroy();
      done(alive);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(true));
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

async function bind(path: string): Promise<Server> {
  const server = createServer();
  await new Promise<void>((done, fail) => {
    server.once("error", (cause) =>
      fail(new MukonError("SHIM_SOCKET", `cannot listen on ${path}: ${cause.message}`, { cause })),
    );
    server.listen(path, done);
  });
  return server;
}

function isLinked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Takes it out of the way in one step: what another caller has put there since stays. */
function removeStale(path: string): void {
  const aside = `${path}.${randomBytes(4).toString("hex")}`;
  try {
    renameSync(path, aside);
    unlinkSync(aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Node has no other way to hand a listening socket to a program of another kind. */
function descriptorOf(server: Server): number {
  const { _handle: handle } = server as unknown as { _handle: { fd: number } };
  return handle.fd;
}
