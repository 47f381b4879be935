// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";
import * as v from "valibot";
import { asMukonError, MukonError } from "../errors/mukon-error.ts";
import { keeperDeadlineMs } from "./keeper-deadlines.ts";
import { type DescriptorSender, sendRequestDescriptors } from "./keeper-descriptors.ts";
import { KeeperLine } from "./messages/envelope.ts";
import { EventBudget } from "./messages/event-budget.ts";
import type { KeeperEvent } from "./messages/events.ts";
import { encodeMessage, messageDecoder } from "./messages/json-lines.ts";
import {
  MAX_EVENTS_PER_SECOND,
  MAX_PENDING_REQUESTS,
  MAX_REPLY_LINE_BYTES,
  MAX_REQUEST_LINE_BYTES,
} from "./messages/limits.ts";
import { METHODS, type Method, type MethodParams, type MethodResult } from "./messages/methods.ts";
import { fromWireError } from "./messages/wire-error.ts";

export interface KeeperClientOptions {
  /** The shim's end of the control socket. */
  control: Duplex;
  /** The shim's end of the socket that descriptors are sent over. */
  descriptorSocketFd: number;
  onEvent: (event: KeeperEvent) => void;
  /** For tests; default: `sendmsg` with SCM_RIGHTS. */
  sendDescriptors?: DescriptorSender;
}

/** Why the conversation ended: `violation` when the keeper broke the rules of it. */
export interface KeeperClosed {
  violation?: MukonError;
}

interface Pending {
  method: Method;
  resolve: (result: never) => void;
  reject: (error: MukonError) => void;
  timer: NodeJS.Timeout;
}

/**
 * The shim's side of the conversation with the keeper, one method per request (see
 * `messages/methods.ts` for parameters and results). Descriptors given to a method are copied to
 * the keeper; the caller keeps its own and closes them.
 *
 * Errors of every method: those that the keeper reports, `KEEPER_TIMEOUT`, `KEEPER_CLOSED`,
 * `KEEPER_BUSY`. A keeper that sends what the schema does not allow, or floods, is cut off at
 * once: all requests fail with `KEEPER_PROTOCOL` and {@link KeeperClient.closed} says so.
 */
export class KeeperClient {
  readonly closed: Promise<KeeperClosed>;
  readonly #control: Duplex;
  readonly #descriptorSocketFd: number;
  readonly #sendDescriptors: DescriptorSender | undefined;
  readonly #onEvent: (event: KeeperEvent) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #decoder = messageDecoder(MAX_REPLY_LINE_BYTES);
  readonly #events = new EventBudget(MAX_EVENTS_PER_SECOND);
  #settleClosed: (closed: KeeperClosed) => void = () => {};
  #ended: MukonError | undefined;
  #lastId = 0;
  #sending: Promise<void> = Promise.resolve();

  constructor(options: KeeperClientOptions) {
    this.#control = options.control;
    this.#descriptorSocketFd = options.descriptorSocketFd;
    this.#sendDescriptors = options.sendDescriptors;
    this.#onEvent = options.onEvent;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.#control.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#control.on("error", () => this.#end({}));
    this.#control.on("close", () => this.#end({}));
    this.#control.on("end", () => this.#end({}));
  }

  boot = this.#method("boot");
  saveState = this.#method("saveState");
  prepareSandbox = this.#method("prepareSandbox");
  attachDisk = this.#method("attachDisk");
  resizeDisk = this.#method("resizeDisk");
  detachDisk = this.#method("detachDisk");
  attachHostDevice = this.#method("attachHostDevice");
  detachHostDevice = this.#method("detachHostDevice");
  attachCard = this.#method("attachCard");
  setUpNetwork = this.#method("setUpNetwork");
  forwardPorts = this.#method("forwardPorts");
  attachSharedFs = this.#method("attachSharedFs");
  putVolumeEntry = this.#method("putVolumeEntry");
  createContainer = this.#method("createContainer");
  startContainer = this.#method("startContainer");
  exec = this.#method("exec");
  startExec = this.#method("startExec");
  signal = this.#method("signal");
  resize = this.#method("resize");
  closeStdin = this.#method("closeStdin");
  pause = this.#method("pause");
  resume = this.#method("resume");
  update = this.#method("update");
  stats = this.#method("stats");
  removeContainer = this.#method("removeContainer");
  removeExec = this.#method("removeExec");
  destroySandbox = this.#method("destroySandbox");

  /**
   * Ends the conversation; the keeper ends itself when it sees that. Requests that wait for an answer
   * fail, for that reason where it is known.
   */
  close(reason?: MukonError): void {
    this.#end({}, reason);
  }

  #method<M extends Method>(method: M) {
    return (params: MethodParams<M>, descriptors: readonly number[] = []) =>
      this.#request(method, params, descriptors);
  }

  async #request<M extends Method>(
    method: M,
    params: MethodParams<M>,
    descriptors: readonly number[],
  ): Promise<MethodResult<M>> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#pending.size >= MAX_PENDING_REQUESTS) {
      throw new MukonError(
        "KEEPER_BUSY",
        `The keeper has ${this.#pending.size} requests to answer already.`,
        { hint: "Try again when fewer calls are under way." },
      );
    }
    const id = ++this.#lastId;
    const line = encodeMessage(
      { id, method, params, descriptors: descriptors.length },
      MAX_REQUEST_LINE_BYTES,
    );
    const deadlineMs = keeperDeadlineMs(method, params);
    const reply = new Promise<MethodResult<M>>((resolve, reject) => {
      const timer = setTimeout(() => this.#expire(id, deadlineMs), deadlineMs);
      this.#pending.set(id, { method, resolve, reject, timer });
    });
    // One after the other: the keeper takes descriptors in the order of the messages.
    this.#sending = this.#sending.then(() => this.#send(id, line, descriptors));
    return reply;
  }

  async #send(id: number, line: Buffer, descriptors: readonly number[]): Promise<void> {
    if (this.#ended !== undefined || !this.#pending.has(id)) return;
    try {
      if (descriptors.length > 0) {
        await sendRequestDescriptors(
          { socketFd: this.#descriptorSocketFd, id, descriptors },
          this.#sendDescriptors,
        );
      }
      if (this.#ended === undefined) this.#control.write(line);
    } catch (error) {
      this.#settle(id)?.reject(asMukonError(error));
    }
  }

  #expire(id: number, deadlineMs: number): void {
    const pending = this.#settle(id);
    pending?.reject(
      new MukonError(
        "KEEPER_TIMEOUT",
        `The keeper did not answer "${pending.method}" within ${deadlineMs} ms.`,
        { hint: "The guest may hang; remove the pod, or look at its console." },
      ),
    );
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    clearTimeout(pending.timer);
    this.#pending.delete(id);
    return pending;
  }

  #receive(chunk: Buffer): void {
    try {
      for (const value of this.#decoder.push(chunk)) {
        if (this.#ended !== undefined) return;
        this.#handle(v.parse(KeeperLine, value));
      }
    } catch (cause) {
      this.#end({ violation: asViolation(cause) });
    }
  }

  #handle(line: KeeperLine): void {
    if ("event" in line) {
      if (!this.#events.spend(performance.now())) {
        throw new MukonError(
          "KEEPER_PROTOCOL",
          `The keeper sent over ${MAX_EVENTS_PER_SECOND} events in one second.`,
        );
      }
      this.#onEvent(line);
      return;
    }
    if (line.id > this.#lastId) {
      throw new MukonError("KEEPER_PROTOCOL", `The keeper answered a request never made.`);
    }
    // A reply that comes after its deadline has nobody to go to.
    const pending = this.#settle(line.id);
    if (pending === undefined) return;
    if ("error" in line) pending.reject(fromWireError(line.error));
    else this.#resolve(pending, line.result);
  }

  #resolve(pending: Pending, result: unknown): void {
    try {
      pending.resolve(v.parse(METHODS[pending.method].result, result) as never);
    } catch (cause) {
      const violation = asViolation(cause);
      pending.reject(violation);
      throw violation;
    }
  }

  #end(closed: KeeperClosed, reason?: MukonError): void {
    if (this.#ended !== undefined) return;
    this.#ended =
      closed.violation ??
      reason ??
      new MukonError("KEEPER_CLOSED", "The keeper of this pod has ended.", {
        hint: "Remove the pod; its log and the guest's console say what went before.",
      });
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(this.#ended);
    this.#control.destroy();
    this.#settleClosed(closed);
  }
}

function asViolation(cause: unknown): MukonError {
  if (cause instanceof MukonError && cause.code === "KEEPER_PROTOCOL") return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MukonError("KEEPER_PROTOCOL", `The keeper sent what no keeper sends: ${why}`, {
    cause,
  });
}
