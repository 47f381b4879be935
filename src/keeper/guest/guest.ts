// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { AgentClient } from "../../guest-protocol/agent-client.ts";
import { connectToGuest, type GuestConnection } from "../../guest-protocol/forwarding-client.ts";
import { type Step, Steps } from "../../logging/steps.ts";
import { MAX_CONSOLE_TAIL_CHARACTERS } from "../../sandbox/messages/limits.ts";
import { plainTail } from "../../sandbox/messages/text.ts";
import { TtrpcClient } from "../../ttrpc/client.ts";
import { BAY_PCI_PATH } from "../../vmm/qemu/bay.ts";
import { Cards } from "../../vmm/qemu/cards.ts";
import type { DiskContent } from "../../vmm/qemu/disk-node.ts";
import { DiskSlots } from "../../vmm/qemu/disk-slots.ts";
import { Disks } from "../../vmm/qemu/disks.ts";
import { HostDevices } from "../../vmm/qemu/host-devices.ts";
import { STATE_DESCRIPTOR } from "../../vmm/qemu/launch-plan.ts";
import { changeInBay, loadMachineState, saveMachineState } from "../../vmm/qemu/machine-state.ts";
import { QmpClient } from "../../vmm/qemu/qmp/client.ts";
import { attachSharedFs, type SharedFsOptions } from "../../vmm/qemu/shared-fs.ts";
import { addMemory } from "./add-memory.ts";
import { addProcessors } from "./add-processors.ts";
import { ConsoleRing, followConsole } from "./console-ring.ts";
import { guestError } from "./guest-error.ts";

/** How long the last words of a dying guest may take to arrive. */
const LAST_WORDS_MS = 300;
/** What QEMU says when the guest is not going to go on. */
const FATAL_EVENTS: readonly string[] = ["SHUTDOWN", "GUEST_PANICKED", "INTERNAL_ERROR"];

type Stage = [name: string, run: () => Promise<unknown>];

/** The three connections to the untrusted side. */
export interface GuestStreams {
  qmp: Duplex;
  /** The descriptor beneath `qmp`. */
  qmpFd: number;
  agent: Duplex;
  console: Duplex;
}

/** The VMM, the guest's agent and its console, and the knowledge of whether they still live. */
export class Guest {
  readonly agent: AgentClient;
  readonly disks: Disks;
  readonly cards: Cards;
  readonly hostDevices: HostDevices;
  /** Resolves, once and for all, with the reason why the guest is gone. */
  readonly lost: Promise<MukonError>;
  readonly #client: TtrpcClient;
  readonly #qmp: QmpClient;
  readonly #slots = new DiskSlots();
  readonly #console = new ConsoleRing();
  readonly #consoleEnded: Promise<void>;

  constructor(streams: GuestStreams) {
    this.#qmp = new QmpClient(streams.qmp, streams.qmpFd);
    this.#client = new TtrpcClient(streams.agent);
    this.agent = new AgentClient(this.#client);
    this.disks = new Disks(this.#qmp, this.#slots);
    this.cards = new Cards(this.#qmp, this.#slots);
    this.hostDevices = new HostDevices(this.#qmp, this.#slots);
    this.#consoleEnded = followConsole(streams.console, this.#console);
    this.lost = Promise.race([
      this.#fatalEvent(),
      this.#qmp.closed,
      this.agent.closed.then(() => lostError("the connection to its agent ended")),
    ]);
  }

  /**
   * Lets the machine run, a clone when its state is there, waits for the agent, and gives the guest
   * the processors and the memory that it does not begin with. Errors: `GUEST_BOOT_FAILED`, whose details have
   * the `stage` and the `consoleTail`.
   */
  async boot(
    timeoutMs: number,
    options: {
      isClone: boolean;
      extraMemoryMib: number;
      extraVcpus: number;
      bay?: DiskContent | undefined;
    },
  ): Promise<{ stages: Step[]; bay?: string }> {
    const deadline = performance.now() + timeoutMs;
    const left = (): number => Math.max(1, Math.ceil(deadline - performance.now()));
    const restore = (): Promise<void> =>
      loadMachineState(this.#qmp, { inheritedDescriptor: STATE_DESCRIPTOR, timeoutMs: left() });
    const { extraMemoryMib: mib, extraVcpus: count } = options;
    const processors = (): Promise<void> =>
      addProcessors({ qmp: this.#qmp, agent: this.agent }, { count, timeoutMs: left() });
    const memory = (): Promise<void> =>
      addMemory({ qmp: this.#qmp, agent: this.agent }, { mib, timeoutMs: left() });
    const steps: Stage[] = [
      ["vmm", () => this.#qmp.handshake({ timeoutMs: left() })],
      ...(options.isClone ? [["restore", restore] as Stage] : []),
      ...(options.bay === undefined ? [] : [["bay", () => this.#fillBay(options.bay)] as Stage]),
      ["start", () => this.#qmp.execute("cont", {}, { timeoutMs: left() })],
      ["agent", () => this.agent.check({ timeoutMs: left() })],
      ...(count === 0 ? [] : [["processors", processors] as Stage]),
      ...(mib === 0 ? [] : [["memory", memory] as Stage]),
    ];
    const done = new Steps();
    for (const [name, run] of steps) {
      try {
        await done.run(name, () => this.#unlessLost(run()));
      } catch (error) {
        throw await this.#bootError(name, error);
      }
    }
    return { stages: done.all, ...(this.disks.inBay !== undefined && { bay: BAY_PCI_PATH }) };
  }

  /** What QEMU does not take can still be plugged in when the guest runs; that says why not. */
  async #fillBay(content: DiskContent | undefined): Promise<void> {
    if (content !== undefined) await this.disks.attachToBay(content).catch(() => {});
  }

  /** Stops the machine for good and writes its state to a descriptor, which stays the caller's. */
  async saveState(descriptor: number, timeoutMs: number): Promise<void> {
    const { inBay } = this.disks;
    const change = inBay === undefined ? undefined : changeInBay(this.disks, inBay);
    await this.#unlessLost(saveMachineState(this.#qmp, { descriptor, timeoutMs, change }));
  }

  /** Plugs in the device that shares files; the descriptor stays the caller's. */
  async attachSharedFs(options: SharedFsOptions): Promise<void> {
    await attachSharedFs({ qmp: this.#qmp, slots: this.#slots }, options);
  }

  /** Connects to a port on the guest's loopback. */
  async connect(port: number): Promise<GuestConnection> {
    return await connectToGuest(this.#client, port);
  }

  /** What the console said last, fit to be shown; waits a moment for what is on its way. */
  async consoleTail(): Promise<string> {
    await Promise.race([this.#consoleEnded, delay(LAST_WORDS_MS)]);
    return plainTail(this.#console.text(), MAX_CONSOLE_TAIL_CHARACTERS);
  }

  /** Asks QEMU to end; for when nobody is left who could kill it. */
  async quit(timeoutMs: number): Promise<void> {
    await this.#qmp.execute("quit", {}, { timeoutMs }).catch(() => {});
  }

  async #unlessLost<T>(work: Promise<T>): Promise<T> {
    const lost = this.lost.then((error): never => {
      throw error;
    });
    return await Promise.race([work, lost]);
  }

  async #bootError(stage: string, error: unknown): Promise<MukonError> {
    const { message } = asMukonError(guestError(error, "answer"));
    return new MukonError(
      "GUEST_BOOT_FAILED",
      `The guest did not come up ("${stage}"): ${message}`,
      {
        hint: "The guest's console, in the details, may say why.",
        details: { stage, consoleTail: await this.consoleTail() },
        cause: error,
      },
    );
  }

  #fatalEvent(): Promise<MukonError> {
    return new Promise((resolve) => {
      this.#qmp.onEvent(({ name, data }) => {
        if (!FATAL_EVENTS.includes(name)) return;
        const why = typeof data.reason === "string" ? ` (${data.reason.slice(0, 40)})` : "";
        resolve(lostError(`the machine stopped: ${name}${why}`));
      });
    });
  }
}

function lostError(why: string): MukonError {
  return new MukonError("GUEST_LOST", `The guest is gone: ${why}.`);
}
