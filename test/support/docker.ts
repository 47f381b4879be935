// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listMounts } from "../../src/linux/mounts.ts";
import { stateRoot } from "../../src/linux/paths.ts";
import { type RunResult, run } from "../../src/linux/run.ts";
import { Containerd, RUNTIME } from "./containerd.ts";
import type { NetworkWorld } from "./network-world.ts";
import { newerPackages } from "./newer-packages.ts";
import type { PodWorld } from "./pod-world.ts";
import { writeShellTree } from "./shell-image.ts";

const READY_MS = 30_000;
const COMMAND_MS = 240_000;
export const DOCKER_IMAGE = "shell:1";

// Taken at once: tests move the state root.
const directory = join(stateRoot(), "test-docker");

/**
 * A Docker of its own, on a containerd of its own, in a network namespace that plays the host. It is the one
 * of the guest's Debian release, unpacked and not installed, as an older one takes no shims but runc's.
 */
export class Docker {
  readonly containerd: Containerd;
  readonly #directory = mkdtempSync(join(tmpdir(), "mukon-docker-"));
  readonly #network: NetworkWorld;
  readonly #programs: string;
  readonly #socket: string;
  readonly #storage: string;
  #daemon: ChildProcess | undefined;

  private constructor(parts: {
    world: PodWorld;
    network: NetworkWorld;
    containerd: Containerd;
    programs: string;
    storage: string;
  }) {
    this.containerd = parts.containerd;
    this.#network = parts.network;
    this.#programs = parts.programs;
    this.#storage = parts.storage;
    this.#socket = join(parts.world.directory, "docker.sock");
  }

  static async start(
    world: PodWorld,
    network: NetworkWorld,
    { storage }: { storage: string },
  ): Promise<Docker> {
    const programs = await newerPackages(directory, ["docker.io", "docker-cli"]);
    const containerd = await Containerd.start(world, {
      under: ["nsenter", `--net=${network.host}`, "--"],
    });
    const docker = new Docker({ world, network, containerd, programs, storage });
    try {
      await docker.#launch();
      await docker.#importImage();
      return docker;
    } catch (error) {
      await docker.close();
      throw error;
    }
  }

  /** `docker …`. */
  async docker(
    args: readonly string[],
    options: { allowFailure?: boolean; input?: string } = {},
  ): Promise<RunResult> {
    const program = join(this.#programs, "usr/bin/docker");
    return await run([program, "--host", `unix://${this.#socket}`, ...args], {
      timeoutMs: COMMAND_MS,
      env: { HOME: this.#directory },
      ...options,
    });
  }

  /** `docker run` with mukon; the command follows. */
  async run(
    flags: readonly string[],
    command: readonly string[],
    options: { allowFailure?: boolean; input?: string } = {},
  ): Promise<RunResult> {
    const words = ["run", "--runtime", RUNTIME, ...flags, DOCKER_IMAGE, ...command];
    return await this.docker(words, options);
  }

  log(): string {
    return readFileSync(join(this.#directory, "dockerd.log"), "utf8");
  }

  /** Networks of containers that are left on the host, mounts, containers. */
  async leftovers(): Promise<string[]> {
    const { stdout } = await this.docker(["ps", "-aq"]);
    const links = await this.#network.inHost(["ip", "-oneline", "link", "show", "type", "veth"]);
    const rules = await this.#network.inHost(["iptables", "-t", "nat", "-S", "DOCKER"]);
    const mounts = this.#mounts().filter((one) => one.includes("/netns/"));
    const forwarded = rules.split("\n").filter((rule) => rule.includes("DNAT"));
    return [...stdout.split("\n"), ...links.split("\n"), ...forwarded, ...mounts].filter(
      (line) => line !== "",
    );
  }

  async close(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon !== undefined && daemon.exitCode === null && daemon.signalCode === null) {
      const ended = new Promise((done) => daemon.once("exit", done));
      daemon.kill("SIGTERM");
      await ended;
    }
    await this.containerd.close();
    for (const point of this.#mounts().reverse()) {
      await run(["umount", "-l", point], { allowFailure: true });
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #launch(): Promise<void> {
    const place = (name: string): string => join(this.#directory, name);
    mkdirSync(place("exec"));
    // Not the machine's own.
    writeFileSync(place("daemon.json"), "{}");
    const log = openSync(place("dockerd.log"), "a");
    const words = [
      ...[`--net=${this.#network.host}`, "--", join(this.#programs, "usr/sbin/dockerd")],
      ...["--host", `unix://${this.#socket}`, "--containerd", this.containerd.socket],
      ...["--data-root", place("data"), "--exec-root", place("exec")],
      ...["--pidfile", place("pid"), "--config-file", place("daemon.json")],
      ...["--userland-proxy-path", join(this.#programs, "usr/sbin/docker-proxy")],
      ...["--storage-driver", this.#storage],
    ];
    this.#daemon = spawn("nsenter", words, {
      stdio: ["ignore", log, log],
      env: { PATH: `${join(this.#programs, "usr/bin")}:${process.env.PATH}` },
      detached: true,
    });
    closeSync(log);
    for (const deadline = Date.now() + READY_MS; ; await sleep(100)) {
      if ((await this.docker(["version"], { allowFailure: true })).code === 0) return;
      if (Date.now() > deadline) throw new Error(`Docker does not answer: ${this.log()}`);
    }
  }

  async #importImage(): Promise<void> {
    const archive = join(this.#directory, "image.tar");
    await writeShellTree(archive);
    const change = ["--change", "ENV PATH=/bin:/usr/bin"];
    await this.docker(["import", ...change, archive, DOCKER_IMAGE]);
    rmSync(archive);
  }

  #mounts(): string[] {
    return listMounts()
      .map(({ mountPoint }) => mountPoint)
      .filter((point) => point.startsWith(`${this.#directory}/`));
  }
}
