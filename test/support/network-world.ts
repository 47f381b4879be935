// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunOptions, run } from "../../src/linux/run.ts";

const FETCH = `
const ask = async (left) => {
  const answer = await fetch(process.argv[1]).catch((error) => {
    if (left === 0) throw error;
  });
  if (answer !== undefined) return process.stdout.write(await answer.text());
  setTimeout(ask, 250, left - 1);
};
ask(40);`;
const PLUGINS = "/usr/lib/cni";
const NAMES = "/run/netns";

/** Why tests of the network cannot run here, or false. */
export const cannotNetwork = existsSync(join(PLUGINS, "bridge"))
  ? false
  : "needs the Debian package containernetworking-plugins";

export interface CniResult {
  ips: { address: string; gateway?: string }[];
}

/**
 * Network namespaces of a test's own: one plays the host, the others belong to pods. No traffic
 * leaves them, and they go with all that is in them.
 */
export class NetworkWorld {
  readonly #prefix = `mkt-${randomBytes(3).toString("hex")}`;
  readonly #names: string[] = [];
  readonly #children: ChildProcess[] = [];
  /** Leases of addresses. */
  readonly leases = mkdtempSync(join(tmpdir(), "mukon-leases-"));
  host = "";

  static async make(): Promise<NetworkWorld> {
    const world = new NetworkWorld();
    world.host = await world.addNamespace("host");
    await world.inHost(["ip", "link", "set", "lo", "up"]);
    return world;
  }

  /** A new namespace; its path. */
  async addNamespace(name: string): Promise<string> {
    const full = `${this.#prefix}-${name}`;
    await run(["ip", "netns", "add", full]);
    this.#names.push(full);
    return join(NAMES, full);
  }

  /** From here on another namespace has the name of the first one, which is gone. */
  async replace(path: string, other: string): Promise<void> {
    await run(["ip", "netns", "del", path.slice(NAMES.length + 1)]);
    writeFileSync(path, "");
    await run(["mount", "--bind", other, path]);
  }

  /** What a program prints that runs in the namespace. */
  async in(namespace: string, argv: readonly string[], options: RunOptions = {}): Promise<string> {
    const { stdout } = await run(["nsenter", `--net=${namespace}`, "--", ...argv], options);
    return stdout;
  }

  inHost(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return this.in(this.host, argv, options);
  }

  /** A Node program that runs in the namespace until the end of the test; its first line. */
  async serve(namespace: string, script: string): Promise<string> {
    const argv = [`--net=${namespace}`, "--", process.execPath, "-e", script];
    // Without our environment, which would make it one of the pods' processes.
    const env = { PATH: process.env.PATH };
    const child = spawn("nsenter", argv, { env, stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(child);
    return await new Promise((done, fail) => {
      child.stdout?.once("data", (chunk: Buffer) => done(chunk.toString().trim()));
      child.once("close", () => fail(new Error("the server ended")));
    });
  }

  /** What a web server answers, asked from a namespace; it may be starting still. */
  async fetch(namespace: string, url: string): Promise<string> {
    return await this.in(namespace, [process.execPath, "-e", FETCH, url], { timeoutMs: 60_000 });
  }

  /** A real CNI plugin, run as container engines do, with the test's host as its host. */
  async cni(
    command: "ADD" | "DEL",
    network: Record<string, unknown>,
    target: { id: string; namespace: string; name: string },
  ): Promise<CniResult> {
    const text = await this.inHost([join(PLUGINS, String(network.type))], {
      input: JSON.stringify({ cniVersion: "1.0.0", ...network }),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: target.id,
        CNI_NETNS: target.namespace,
        CNI_IFNAME: target.name,
        CNI_PATH: PLUGINS,
      },
    });
    return text === "" ? { ips: [] } : JSON.parse(text);
  }

  /** Tap devices and filters that are in a namespace. */
  async traces(namespace: string): Promise<string[]> {
    const links = await this.in(namespace, ["ip", "-oneline", "link", "show"]);
    const filters = await this.in(namespace, ["tc", "qdisc", "show"]);
    return [
      ...links.split("\n").filter((line) => line.includes("tap")),
      ...filters.split("\n").filter((line) => /ingress|clsact/.test(line)),
    ];
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const name of this.#names) await run(["ip", "netns", "del", name], { allowFailure: true });
    rmSync(this.leases, { recursive: true, force: true });
  }
}
