// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type RunResult, run } from "../../src/linux/run.ts";
import { Containerd, IMAGE, RUNTIME } from "./containerd.ts";
import type { NetworkWorld } from "./network-world.ts";
import type { PodWorld } from "./pod-world.ts";

const COMMAND_MS = 240_000;
/** Names the program. It is in no Debian release. */
const VARIABLE = "MUKON_TEST_NERDCTL";
const program = resolve(process.env[VARIABLE] || "nerdctl");

/** Why nerdctl cannot be tested here; undefined: it can. */
export function whyNoNerdctl(): string | undefined {
  if (process.env[VARIABLE] && existsSync(program)) return undefined;
  return `${VARIABLE} does not name nerdctl, which Debian does not have`;
}

/** nerdctl with a containerd of its own, in a network namespace that plays the host. */
export class Nerdctl {
  readonly containerd: Containerd;
  readonly #network: NetworkWorld;
  readonly #directory = mkdtempSync(join(tmpdir(), "mukon-nerdctl-"));

  private constructor(containerd: Containerd, network: NetworkWorld) {
    this.containerd = containerd;
    this.#network = network;
    mkdirSync(join(this.#directory, "net.d"));
  }

  static async start(world: PodWorld, network: NetworkWorld): Promise<Nerdctl> {
    const containerd = await Containerd.start(world, {
      under: ["nsenter", `--net=${network.host}`, "--"],
    });
    return new Nerdctl(containerd, network);
  }

  /** The words of `nerdctl …` in the namespace of the host. */
  words(args: readonly string[]): string[] {
    return [
      ...["nsenter", `--net=${this.#network.host}`, "--", program],
      ...["--address", this.containerd.socket, "--namespace", "default"],
      ...["--data-root", join(this.#directory, "data"), "--cgroup-manager", "cgroupfs"],
      ...["--cni-path", "/usr/lib/cni", "--cni-netconfpath", join(this.#directory, "net.d")],
      ...args,
    ];
  }

  /** `nerdctl …`. */
  async nerdctl(
    args: readonly string[],
    options: { allowFailure?: boolean; input?: string } = {},
  ): Promise<RunResult> {
    const env = { HOME: this.#directory };
    return await run(this.words(args), { timeoutMs: COMMAND_MS, env, ...options });
  }

  /** The words of `nerdctl run` with mukon. */
  runWords(flags: readonly string[], command: readonly string[]): string[] {
    return ["run", "--pull", "never", "--runtime", RUNTIME, ...flags, IMAGE, ...command];
  }

  /** Links of containers, rules of published ports, and containers. */
  async leftovers(): Promise<string[]> {
    const { stdout } = await this.nerdctl(["ps", "-aq"]);
    const links = await this.#network.inHost(["ip", "-oneline", "link", "show", "type", "veth"]);
    const rules = await this.#network.inHost(["iptables", "-t", "nat", "-S"]);
    const forwarded = rules.split("\n").filter((rule) => / -j (DNAT|CNI-DN-)/.test(rule));
    return [...stdout.split("\n"), ...links.split("\n"), ...forwarded].filter(
      (line) => line !== "",
    );
  }

  async close(): Promise<void> {
    await this.containerd.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
