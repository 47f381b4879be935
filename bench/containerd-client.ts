// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { type Containerd, IMAGE } from "../test/support/containerd.ts";
import { containerdProgram } from "../test/support/containerd-release.ts";

const MARKER = "first output";

/** Milliseconds since the command was started. */
export interface Times {
  /** Undefined when no output is waited for. */
  outputMs: number | undefined;
  endMs: number;
}

/** What a user of containerd does with pods of one runtime, timed, through one containerd. */
export class TimedClient {
  readonly runtime: string;
  readonly #containerd: Containerd;
  #count = 0;

  constructor(containerd: Containerd, runtime: string) {
    this.#containerd = containerd;
    this.runtime = runtime;
  }

  /** A container that says one line, from nothing to nothing. */
  async runOnce(): Promise<Times> {
    return await this.#time([...this.#runWords(this.#id(), "--rm"), "echo", MARKER], true);
  }

  /** A pod that stays; its id and how long it took until it runs. */
  async create(): Promise<{ id: string; endMs: number }> {
    const id = this.#id();
    const words = [...this.#runWords(id, "--detach", "--null-io"), "sleep", "100000"];
    return { id, endMs: (await this.#time(words, false)).endMs };
  }

  async exec(id: string): Promise<Times> {
    const words = ["task", "exec", "--exec-id", `e${this.#count++}`, id, "echo", MARKER];
    return await this.#time(words, true);
  }

  /** Milliseconds until nothing is left of it. */
  async remove(id: string): Promise<number> {
    const task = await this.#time(["task", "delete", "--force", id], false);
    const container = await this.#time(["container", "delete", id], false);
    return task.endMs + container.endMs;
  }

  #id(): string {
    return `bench-${process.pid}-${this.#count++}-${this.runtime.replaceAll(".", "-")}`;
  }

  #runWords(id: string, ...flags: string[]): string[] {
    const cgroup = ["--cgroup", `/mukon-bench/${id}`];
    return ["run", "--runtime", this.runtime, ...cgroup, ...flags, IMAGE, id];
  }

  async #time(words: readonly string[], hasOutput: boolean): Promise<Times> {
    const began = performance.now();
    const child = spawn(
      containerdProgram("ctr"),
      ["--address", this.#containerd.socket, ...words],
      {
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let output = "";
    let outputMs: number | undefined;
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes(MARKER)) outputMs ??= performance.now() - began;
    });
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    if (code !== 0 || (hasOutput && outputMs === undefined)) {
      throw new Error(`ctr ${words.join(" ")} ended with ${code}: ${output}`);
    }
    return { outputMs, endMs: performance.now() - began };
  }
}
