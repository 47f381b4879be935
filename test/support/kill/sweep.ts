// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { OciSpec } from "../../../src/guest-protocol/oci-spec.ts";
import { cgroupHierarchies, prepareCgroup } from "../../../src/host/cgroups/hierarchies.ts";
import { collectHalfWritten } from "../../../src/host/gc/half-written.ts";
import { journalPath } from "../../../src/host/journal/journal.ts";
import { cannotNetwork, NetworkWorld } from "../network-world.ts";
import type { PodWorld } from "../pod-world.ts";
import { FakeContainerd } from "../shim-client.ts";
import type { Moment, TracedCall } from "./calls.ts";
import { PodLife } from "./life.ts";
import { JOURNALLED_STEPS, STEPS_FOR_DOCKER, STEPS_OF_SHARING } from "./steps.ts";
import type { Interference } from "./tracer.ts";

/** Lives that go on at a time; after each such group the host is compared. */
export const LANES = 4;
/** For what comes after the last step. */
const SETTLE_MS = 200;

export interface Strike {
  at: TracedCall;
  interference: Interference;
}

export interface SweepOptions {
  /** Of each pod, beside its network and cgroup. */
  spec?: Partial<OciSpec>;
  /** What each container runs; default: something that is over at once. */
  command?: readonly string[];
  /** Its guest is let run, as something is shared with it. */
  isSharing?: boolean;
}

export interface Struck {
  strike: Strike;
  /** Of the shim's first thread, which keeps the journal, up to its end. */
  calls: TracedCall[];
  failure: Error | undefined;
  /** It came to the end of this, where the test ended it. */
  hasLived: boolean;
  endedItself: boolean;
}

/**
 * Lives of pods with a network and cgroups of their own, each of which is interfered with at one
 * moment. They end before their guests have booted.
 */
export class Sweep {
  readonly #world: PodWorld;
  readonly #containerd: FakeContainerd;
  readonly #network: NetworkWorld | undefined;
  readonly #namespaces: string[] = [];
  readonly #cgroup: string;
  readonly #options: SweepOptions;
  #lives = 0;

  private constructor(parts: {
    world: PodWorld;
    containerd: FakeContainerd;
    network: NetworkWorld | undefined;
    options: SweepOptions;
  }) {
    this.#world = parts.world;
    this.#containerd = parts.containerd;
    this.#network = parts.network;
    this.#options = parts.options;
    this.#cgroup = basename(parts.world.directory);
    for (const hierarchy of cgroupHierarchies()) {
      const directory = join(hierarchy.mountPoint, this.#cgroup);
      mkdirSync(directory);
      prepareCgroup(hierarchy, directory);
    }
  }

  static async begin(world: PodWorld, options: SweepOptions = {}): Promise<Sweep> {
    const containerd = await FakeContainerd.listen(world.directory);
    const network = cannotNetwork ? undefined : await NetworkWorld.make();
    const sweep = new Sweep({ world, containerd, network, options });
    for (let lane = 0; lane < LANES && network !== undefined; lane += 1) {
      const namespace = await network.addNamespace(`lane${lane}`);
      const link = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "host0"];
      await network.in(namespace, link);
      await network.in(namespace, ["ip", "address", "add", "10.123.0.2/24", "dev", "eth0"]);
      await network.in(namespace, ["ip", "link", "set", "eth0", "up"]);
      sweep.#namespaces.push(namespace);
    }
    return sweep;
  }

  /** Then the guest begins to boot, which is not waited for unless something is shared with it. */
  get steps(): string[] {
    const steps = Object.values(JOURNALLED_STEPS).flat();
    const isReached = (step: string): boolean =>
      (this.#options.isSharing === true || !STEPS_OF_SHARING.includes(step)) &&
      !STEPS_FOR_DOCKER.includes(step) &&
      (step !== "mirror" || this.#network !== undefined);
    return steps.filter(isReached);
  }

  /** What the shim does in one undisturbed life: from Create to the end that SIGTERM brings. */
  async record(): Promise<TracedCall[]> {
    const life = this.newLife(0);
    await life.startShim();
    const tracer = await life.trace({});
    const created = life.create();
    await life.hasSteps(this.steps);
    await sleep(SETTLE_MS);
    life.killShim("SIGTERM");
    await Promise.all([created, life.shimEnded()]);
    const calls = await tracer.end();
    await this.cleanUp([life]);
    return calls;
  }

  /** A pod whose shim was killed when it had all that it has before its guest boots. */
  async abandon(): Promise<PodLife> {
    const life = this.newLife();
    await life.startShim();
    const created = life.create();
    await life.hasSteps(this.steps);
    life.killShim("SIGKILL");
    await Promise.all([created, life.shimEnded()]);
    return life;
  }

  /** All strikes, some at a time; the host is as before after each of them. */
  async strikeAll(strikes: readonly Strike[], onStruck: (struck: Struck) => void): Promise<void> {
    for (let first = 0; first < strikes.length; first += LANES) {
      const group = strikes.slice(first, first + LANES);
      const lives = group.map((_, lane) => this.newLife(lane));
      const all = await Promise.all(
        group.map(async (strike, lane) => this.#strike(lives[lane] as PodLife, strike)),
      );
      try {
        await this.cleanUp(lives);
      } catch (error) {
        const told = all.map(({ strike, endedItself }) => `${describe(strike)} (${endedItself})`);
        throw new Error(`${(error as Error).message}\nafter one of: ${told.join(" | ")}`);
      }
      all.forEach(onStruck);
    }
  }

  async end(): Promise<void> {
    await this.#world.restoreTemplate();
    this.#containerd.close();
    await this.#network?.end();
    for (const { mountPoint } of cgroupHierarchies()) rmdirSync(join(mountPoint, this.#cgroup));
  }

  /** A pod that nobody has started yet; with `network` "new", its client is to fill a namespace for it. */
  newLife(lane = 0, network: "given" | "new" = "given"): PodLife {
    this.#lives += 1;
    const id = `life-${this.#lives}`;
    const path = this.#namespaces[lane];
    const given = path === undefined ? [] : [{ type: "network", path }];
    const wanted = network === "new" ? [{ type: "network" }] : given;
    const namespaces = [...["pid", "ipc", "uts", "mount"].map((type) => ({ type })), ...wanted];
    const linux = { namespaces, cgroupsPath: `/${this.#cgroup}/${id}` };
    const { command = ["true"], spec } = this.#options;
    const pod = { id, command, spec: { ...spec, linux } };
    return new PodLife(this.#world, this.#containerd, pod);
  }

  async #strike(life: PodLife, strike: Strike): Promise<Struck> {
    await life.startShim();
    const tracer = await life.trace({ ...strike, at: this.#momentIn(life, strike.at) });
    const created = life.create();
    const hasLived = await Promise.race([life.hasSteps(this.steps), created.then(() => false)]);
    life.killShim("SIGTERM");
    const failure = await created;
    const endedItself = await life.shimEnded();
    return { strike, calls: await tracer.end(), failure, hasLived, endedItself };
  }

  /**
   * Entries of the journal are counted among themselves: how often the thread writes to something else,
   * such as to wake another one, differs from life to life.
   */
  #momentIn(life: PodLife, at: Strike["at"]): Moment {
    if (at.entry === undefined) return at;
    return { name: at.name, count: at.entryCount ?? 1, path: journalPath(life.key) };
  }

  /** What containerd does after all of them, whatever became of them; the host is as it was then. */
  async cleanUp(lives: readonly PodLife[]): Promise<void> {
    const outputs = await Promise.all(lives.map((life) => life.delete()));
    for (const { code, stderr } of outputs) assert.equal(code, 0, stderr);
    for (const life of lives) life.removeBundle();
    // Of no pod, and therefore for mukon gc alone.
    await collectHalfWritten({ now: Date.now(), minimumAgeMs: 0, onFailure: fail });
    await this.#world.assertNothingLeft();
    await this.assertNothingLeft();
  }

  /** In its cgroups and network namespaces, which the world does not know of. */
  async assertNothingLeft(): Promise<void> {
    for (const { mountPoint } of cgroupHierarchies()) {
      const left = directories(join(mountPoint, this.#cgroup));
      assert.deepEqual(left, [], `cgroups are left in ${mountPoint}`);
    }
    for (const namespace of this.#namespaces) {
      assert.deepEqual(await this.#network?.traces(namespace), []);
    }
  }
}

export function describe({ at, interference }: Strike): string {
  const what = "errorName" in interference ? interference.errorName : interference.signal;
  return `${what} at ${at.name} ${at.count}: ${at.text.slice(0, 120)}`;
}

function directories(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

function fail(item: string, error: unknown): void {
  throw new Error(`${item} is left`, { cause: error });
}
