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
import { type RunResult, run } from "../../src/linux/run.ts";
import { configurationVersion, containerdProgram } from "./containerd-release.ts";
import type { PodWorld } from "./pod-world.ts";
import { writeShellImage } from "./shell-image.ts";

const DIST = join(import.meta.dirname, "..", "..", "dist");
const READY_MS = 20_000;
const CTR_MS = 120_000;

export const IMAGE = "local.test/shell:1";
export const RUNTIME = "io.containerd.mukon.v2";

export interface ContainerdOptions {
  /** A command that runs it, such as `nsenter --net=PATH --`. */
  under?: readonly string[];
  /** More of its configuration; default: no CRI. */
  configure?: (directory: string) => string;
}

/** What ctr of containerd 2.2 and newer says on every host with control groups of version 1. */
const DEPRECATION = /^.*DEPRECATION: The support for cgroup v1 is deprecated.*\n/gm;
/** What containerd 1 does not know, it passes over. */
const WITHOUT_CRI = `
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.podsandbox.controller.v1.podsandbox", "io.containerd.internal.v1.opt"]
`;

/** A containerd of our own, all of whose state is below one directory, and its `ctr`. */
export class Containerd {
  readonly directory: string;
  readonly socket: string;
  readonly #programs: string;
  readonly #configuration: string;
  readonly #under: readonly string[];
  #daemon: ChildProcess | undefined;

  private constructor(world: PodWorld, { under = [], configure }: ContainerdOptions) {
    this.#under = under;
    this.directory = mkdtempSync(join(tmpdir(), "mukon-containerd-"));
    this.socket = join(world.directory, "containerd.sock");
    this.#programs = join(this.directory, "bin");
    this.#configuration = join(this.directory, "config.toml");
    mkdirSync(this.#programs);
    const settings = Object.entries(process.env)
      .filter(([name]) => name.startsWith("MUKON_"))
      .map(([name, value]) => `export ${name}='${value}'`);
    // As installed: the shim is found by its name, in containerd's PATH.
    writeFileSync(
      join(this.#programs, "containerd-shim-mukon-v2"),
      `#!/bin/sh\n${settings.join("\n")}\nexec ${process.execPath} ${DIST}/shim.cjs "$@"\n`,
      { mode: 0o755 },
    );
    const more = configure?.(this.directory) ?? WITHOUT_CRI;
    writeFileSync(this.#configuration, this.#settings(more));
  }

  /** Starts it, with an image of a shell imported. The shims are of `world`. */
  static async start(world: PodWorld, options: ContainerdOptions = {}): Promise<Containerd> {
    const containerd = new Containerd(world, options);
    try {
      await containerd.launch();
      await containerd.importImage(IMAGE, { Cmd: ["sh"], Env: ["PATH=/bin:/usr/bin"] });
      return containerd;
    } catch (error) {
      await containerd.close();
      throw error;
    }
  }

  /** Starts the daemon (again), and waits until it answers. */
  async launch(): Promise<void> {
    const log = openSync(join(this.directory, "containerd.log"), "a");
    const words = [
      ...this.#under,
      containerdProgram("containerd"),
      "--config",
      this.#configuration,
    ];
    this.#daemon = spawn(words[0] ?? "", words.slice(1), {
      stdio: ["ignore", log, log],
      env: { PATH: `${this.#programs}:${process.env.PATH}` },
      detached: true,
    });
    closeSync(log);
    for (const deadline = Date.now() + READY_MS; ; await sleep(50)) {
      const { code } = await this.ctr(["version"], { allowFailure: true });
      if (code === 0) return;
      if (Date.now() > deadline) throw new Error(`containerd does not answer: ${this.log()}`);
    }
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) return;
    const ended = new Promise((done) => daemon.once("exit", done));
    if (daemon.exitCode === null && daemon.signalCode === null) {
      daemon.kill(signal);
      await ended;
    }
    this.#daemon = undefined;
  }

  async ctr(
    args: readonly string[],
    options: { allowFailure?: boolean; input?: string } = {},
  ): Promise<RunResult> {
    const words = [containerdProgram("ctr"), "--address", this.socket, ...args];
    const outcome = await run(words, { timeoutMs: CTR_MS, ...options });
    return { ...outcome, stderr: outcome.stderr.replace(DEPRECATION, "") };
  }

  /** A `ctr` that goes on; its input stays open. */
  spawnCtr(args: readonly string[]): ChildProcess {
    return spawn(containerdProgram("ctr"), ["--address", this.socket, ...args], { stdio: "pipe" });
  }

  /** `ctr run …`, with the shim of this build. */
  async run(
    id: string,
    command: readonly string[],
    options: { flags?: readonly string[]; allowFailure?: boolean; input?: string } = {},
  ): Promise<RunResult> {
    const { flags = [], ...rest } = options;
    return await this.ctr([...runWords(id, flags), ...command], rest);
  }

  log(): string {
    return readFileSync(join(this.directory, "containerd.log"), "utf8");
  }

  /** What containerd has of this id, or of any: bundles, tasks. */
  async leftovers(): Promise<string[]> {
    const lists = [
      ["task", "list", "-q"],
      ["container", "list", "-q"],
    ];
    const found: string[] = [];
    for (const list of lists) found.push(...(await this.ctr(list)).stdout.split("\n"));
    const mounts = listMounts().map(({ mountPoint }) => mountPoint);
    found.push(...mounts.filter((point) => point.startsWith(`${this.directory}/`)));
    return found.filter((line) => line !== "");
  }

  async close(): Promise<void> {
    await this.stop();
    const mounted = listMounts().filter((one) => one.mountPoint.startsWith(`${this.directory}/`));
    for (const { mountPoint } of mounted.reverse()) {
      await run(["umount", "-l", mountPoint], { allowFailure: true });
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  #settings(more: string): string {
    return `version = ${configurationVersion()}
root = "${this.directory}/root"
state = "${this.directory}/state"
${more}
[grpc]
  address = "${this.socket}"
`;
  }

  /** Makes an image of a shell, and has containerd take it under this name. */
  async importImage(
    name: string,
    config: Record<string, unknown>,
    namespace = "default",
  ): Promise<void> {
    const layout = join(this.directory, "layout");
    await writeShellImage(layout, { config });
    const indexPath = join(layout, "index.json");
    const index = JSON.parse(readFileSync(indexPath, "utf8"));
    for (const manifest of index.manifests) {
      manifest.annotations = { "io.containerd.image.name": name };
    }
    writeFileSync(indexPath, JSON.stringify(index));
    const archive = join(this.directory, "image.tar");
    await run(["tar", "-C", layout, "-cf", archive, "."]);
    await this.ctr(["--namespace", namespace, "image", "import", archive]);
    rmSync(archive);
    rmSync(layout, { recursive: true });
  }
}

/** Arguments of `ctr` up to the command. */
export function runWords(id: string, flags: readonly string[], runtime = RUNTIME): string[] {
  return ["run", "--runtime", runtime, "--cgroup", `/mukon-e2e/${id}`, ...flags, IMAGE, id];
}
