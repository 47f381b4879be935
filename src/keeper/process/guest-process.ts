// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { AgentClient, ProcessAddress } from "../../guest-protocol/agent-client.ts";
import { InputPump } from "../stdio/input-pump.ts";
import { type DrainLimits, drain, OutputPump } from "../stdio/output-pump.ts";
import { DISCARD, openSink } from "../stdio/sink.ts";
import { closeAll, type ProcessDescriptors } from "./process-stdio.ts";

/** Exit status of a process whose true one cannot be found out. */
const UNKNOWN_STATUS = 255;
const DRAIN: DrainLimits = { stallMs: 10_000, totalMs: 120_000 };

export type ProcessAgent = Pick<
  AgentClient,
  "call" | "waitProcess" | "readOutput" | "writeStdin" | "closed"
>;

export interface GuestProcessOptions {
  agent: ProcessAgent;
  /** How the agent calls the process. */
  address: ProcessAddress;
  /** Are taken over, and closed in the end. */
  descriptors: ProcessDescriptors;
  onExit: (exit: { status: number; at: number }) => void;
  drainLimits?: DrainLimits;
}

/** A process in the guest: its streams, and its end. */
export class GuestProcess {
  readonly address: ProcessAddress;
  readonly #options: GuestProcessOptions;
  readonly #abort = new AbortController();
  #state: "waiting" | "running" | "exited" = "waiting";
  #input: InputPump | undefined;

  constructor(options: GuestProcessOptions) {
    this.#options = options;
    this.address = options.address;
  }

  get state(): "waiting" | "running" | "exited" {
    return this.#state;
  }

  /** Copies the streams and awaits the end; to be called once, when the guest has started it. */
  follow(): void {
    if (this.#state !== "waiting") return;
    this.#state = "running";
    void this.#run();
  }

  /** Errors: `STDIN_NOT_OPEN` when there is none. */
  closeStdin(): void {
    const { stdin } = this.#options.descriptors;
    if (stdin === undefined) {
      throw new MukonError(
        "STDIN_NOT_OPEN",
        `"${this.address.execId}" was started without standard input.`,
      );
    }
    // Before the start there is no copying yet: it begins with an end then.
    if (this.#input === undefined) this.#openInput(stdin);
    this.#input?.release();
  }

  /** Lets go of all descriptors; output that is not handed on is lost. */
  dispose(): void {
    if (this.#state === "waiting") {
      const { stdin, stdout, stderr } = this.#options.descriptors;
      if (this.#input !== undefined) this.#input.stop();
      else if (stdin !== undefined) closeAll([stdin.descriptor, stdin.holderDescriptor]);
      closeAll([stdout, stderr].filter((descriptor) => descriptor !== undefined));
    }
    this.#state = "exited";
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    const outputs = this.#openOutputs();
    void this.#followInput();
    const status = await this.#awaitExit();
    const at = Date.now();
    this.#input?.stop();
    if (status === undefined) {
      for (const pump of outputs) pump.stop();
    } else {
      await drain(outputs, this.#options.drainLimits ?? DRAIN);
    }
    this.#abort.abort();
    const isWanted = this.#state === "running" && status !== undefined;
    this.#state = "exited";
    if (isWanted) this.#options.onExit({ status, at });
  }

  /** Undefined when it does not matter any more: guest lost, or process disposed of. */
  async #awaitExit(): Promise<number | undefined> {
    const { agent } = this.#options;
    const { signal } = this.#abort;
    try {
      return await agent.waitProcess(this.address, { signal });
    } catch {
      const isLost = await Promise.race([agent.closed.then(() => true), soon().then(() => false)]);
      return isLost || signal.aborted ? undefined : UNKNOWN_STATUS;
    }
  }

  #openOutputs(): OutputPump[] {
    const { stdout, stderr, terminal } = this.#options.descriptors;
    const pump = (name: "stdout" | "stderr", descriptor: number | undefined): OutputPump =>
      new OutputPump({
        read: (maxBytes) =>
          this.#options.agent.readOutput(
            name,
            { ...this.address, maxBytes },
            { signal: this.#abort.signal },
          ),
        sink: descriptor === undefined ? DISCARD : openSink(descriptor),
      });
    // Nobody's output is read too: its process would stop at a full pipe.
    const pumps = [pump("stdout", stdout)];
    if (!terminal) pumps.push(pump("stderr", stderr));
    else if (stderr !== undefined) closeAll([stderr]);
    return pumps;
  }

  async #followInput(): Promise<void> {
    const { stdin, terminal } = this.#options.descriptors;
    if (stdin !== undefined) {
      if (this.#input === undefined) this.#openInput(stdin);
      await this.#input?.run();
    } else if (!terminal) {
      // No input is an empty input, or `cat` would wait for ever.
      await this.#endInput().catch(() => {});
    }
  }

  #openInput(stdin: NonNullable<ProcessDescriptors["stdin"]>): void {
    const { signal } = this.#abort;
    this.#input = new InputPump({
      ...stdin,
      write: (data) => this.#options.agent.writeStdin(this.address, data, { signal }),
      end: () => this.#endInput(),
    });
  }

  async #endInput(): Promise<void> {
    await this.#options.agent.call("closeStdin", { ...this.address });
  }
}

/** Long enough for a connection's end to be noticed after the calls on it have failed. */
function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}
