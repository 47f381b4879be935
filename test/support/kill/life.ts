// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { OciSpec } from "../../../src/guest-protocol/oci-spec.ts";
import { readJournal } from "../../../src/host/journal/journal.ts";
import { isRunning } from "../../../src/host/journal/liveness.ts";
import { readStartTime } from "../../../src/linux/process-status.ts";
import type { PodWorld } from "../pod-world.ts";
import {
  Bundle,
  type FakeContainerd,
  runShim,
  ShimClient,
  type ShimOutput,
  shimCommand,
} from "../shim-client.ts";
import { stepOf } from "./steps.ts";
import { type TraceRequest, Tracer } from "./tracer.ts";

const POLL_MS = 20;
/** On a busy machine, where several guests boot at a time. */
const TIMEOUT_MS = 120_000;

/** One life of a pod, as containerd sees it, of which the shim's part is traced. */
export class PodLife {
  readonly bundle: Bundle;
  readonly #containerd: FakeContainerd;
  #shim: ShimClient | undefined;
  #shimPid = 0;
  #isToldToEnd = false;
  #startTime = 0n;

  constructor(
    world: PodWorld,
    containerd: FakeContainerd,
    pod: { id: string; command?: readonly string[]; spec?: Partial<OciSpec> },
  ) {
    const { id, command = ["true"], spec } = pod;
    this.bundle = new Bundle(world.directory, id, command, spec);
    this.#containerd = containerd;
  }

  get key(): string {
    return `test..${this.bundle.id}`;
  }

  get shimPid(): number {
    return this.#shimPid;
  }

  /** For what it is asked after Create. */
  get client(): ShimClient {
    assert.ok(this.#shim, `the shim of ${this.bundle.id} was not started`);
    return this.#shim;
  }

  async startShim(): Promise<void> {
    const output = await this.#run("start");
    assert.equal(output.code, 0, output.stderr);
    this.#shim = await ShimClient.connect(this.bundle.address);
    this.#shimPid = (await this.#shim.connectTask(this.bundle.id)).shimPid;
    this.#startTime = readStartTime(this.#shimPid) ?? 0n;
  }

  async trace(request: Omit<TraceRequest, "output">): Promise<Tracer> {
    const output = join(this.bundle.directory, "calls");
    return await Tracer.attach(this.#shimPid, { ...request, output });
  }

  /** Resolves to why it failed; undefined: it did not. */
  async create(): Promise<Error | undefined> {
    return await this.#shim?.create(this.bundle).then(
      () => undefined,
      (error: Error) => error,
    );
  }

  get isShimRunning(): boolean {
    return isRunning({ pid: this.#shimPid, startTime: this.#startTime });
  }

  killShim(signal: NodeJS.Signals): void {
    this.#isToldToEnd = this.isShimRunning;
    if (this.isShimRunning) process.kill(this.#shimPid, signal);
  }

  /** Resolves to whether nobody had told it to, by {@link killShim}. */
  async shimEnded(timeoutMs = TIMEOUT_MS): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (this.isShimRunning) {
      assert.ok(Date.now() < deadline, `the shim of ${this.bundle.id} goes on`);
      await sleep(POLL_MS);
    }
    return !this.#isToldToEnd;
  }

  /** Waits until the journal has these steps; false: the shim was gone before. */
  async hasSteps(steps: readonly string[], timeoutMs = TIMEOUT_MS): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const missing = this.missingOf(steps);
      if (missing.length === 0) return true;
      if (!this.isShimRunning) return false;
      assert.ok(Date.now() < deadline, `${this.bundle.id} does not get to ${missing.join(", ")}`);
      await sleep(POLL_MS);
    }
  }

  /** Those of `steps` that the journal does not have yet. */
  missingOf(steps: readonly string[]): string[] {
    const made = readJournal(this.key).entries.map(stepOf);
    return steps.filter((step) => !made.includes(step));
  }

  /** What containerd does after a shim has died. */
  async delete(): Promise<ShimOutput> {
    this.#shim?.close();
    const output = await this.#run("-bundle", this.bundle.directory, "delete");
    return output;
  }

  /** Bundles are the client's to remove. */
  removeBundle(): void {
    rmSync(this.bundle.directory, { recursive: true, force: true });
  }

  /** How containerd runs the shim's program for this pod. */
  command(verb: "start" | "delete"): string[] {
    const { id, directory } = this.bundle;
    const bundle = verb === "delete" ? ["-bundle", directory] : [];
    return [...shimCommand({ directory, id, containerd: this.#containerd }), ...bundle, verb];
  }

  async #run(...words: string[]): Promise<ShimOutput> {
    const { directory, id } = this.bundle;
    return await runShim({ directory, id, containerd: this.#containerd }, ...words);
  }
}
