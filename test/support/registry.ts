// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A registry on a free port of 127.0.0.1. */
export interface Registry {
  /** Such as "127.0.0.1:40123". */
  host: string;
  /** Copies an image from a place that skopeo knows, such as `oci:/dir:latest`. */
  push(source: string, name: string): void;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 10_000;

/** Starts Debian's docker-registry with its data below `directory`. */
export async function startRegistry(directory: string): Promise<Registry> {
  mkdirSync(directory, { recursive: true });
  const host = `127.0.0.1:${await freePort()}`;
  const settings = {
    version: 0.1,
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(directory, "data") } },
    http: { addr: host },
  };
  const configuration = join(directory, "config.yml");
  // JSON is YAML.
  writeFileSync(configuration, JSON.stringify(settings));
  const server = spawn("docker-registry", ["serve", configuration], { stdio: "ignore" });
  await answers(`http://${host}/v2/`);
  return {
    host,
    push: (source, name) => {
      const target = `docker://${host}/${name}`;
      const options = ["--quiet", "--insecure-policy", "--dest-tls-verify=false"];
      execFileSync("skopeo", ["copy", ...options, source, target], { stdio: "pipe" });
    },
    stop: () => stop(server),
  };
}

/** A server that answers as the test says, to be as bad a registry as one can be. */
export async function startHostileRegistry(
  answer: RequestListener,
): Promise<{ host: string; stop: () => Promise<void> }> {
  const server = createServer(answer);
  // A test that fails before it stops the server must still end.
  server.unref().on("connection", (socket) => socket.unref());
  const port = await listen(server);
  return {
    host: `127.0.0.1:${port}`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill("SIGKILL");
  await once(server, "exit");
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, "close");
  return port;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function answers(url: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      if ((await fetch(url)).ok) return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(50);
  }
}
