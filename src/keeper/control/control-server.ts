// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";
import * as v from "valibot";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { Request } from "../../sandbox/messages/envelope.ts";
import type { KeeperEvent } from "../../sandbox/messages/events.ts";
import { encodeMessage, messageDecoder } from "../../sandbox/messages/json-lines.ts";
import {
  MAX_PENDING_REQUESTS,
  MAX_REPLY_LINE_BYTES,
  MAX_REQUEST_LINE_BYTES,
} from "../../sandbox/messages/limits.ts";
import { isMethod, METHODS } from "../../sandbox/messages/methods.ts";
import { toWireError } from "../../sandbox/messages/wire-error.ts";
import { closeAll } from "../process/process-stdio.ts";
import type { DescriptorTaker } from "./descriptor-inbox.ts";
import type { Handlers } from "./handlers.ts";

export interface ControlServerOptions {
  control: Duplex;
  takeDescriptors: DescriptorTaker;
  handlers: Handlers;
}

type AnyHandler = (params: unknown, descriptors: readonly number[]) => Promise<unknown>;

/** The keeper's side of the conversation with the shim. */
export class ControlServer {
  /** Resolves when the shim is gone, with the error if shim and keeper were out of step. */
  readonly ended: Promise<MukonError | undefined>;
  readonly #options: ControlServerOptions;
  readonly #decoder = messageDecoder(MAX_REQUEST_LINE_BYTES);
  #settleEnded: (error: MukonError | undefined) => void = () => {};
  #isOver = false;
  #underWay = 0;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve;
    });
    const { control } = options;
    control.on("data", (chunk: Buffer) => this.#receive(chunk));
    control.on("error", () => this.#end(undefined));
    control.on("end", () => this.#end(undefined));
    control.on("close", () => this.#end(undefined));
  }

  send(event: KeeperEvent): void {
    this.#write(event);
  }

  #receive(chunk: Buffer): void {
    try {
      for (const value of this.#decoder.push(chunk)) {
        if (this.#isOver) return;
        this.#accept(v.parse(Request, value));
      }
    } catch (error) {
      this.#end(asMukonError(error));
    }
  }

  #accept(request: Request): void {
    // At once, before the next request is looked at: they come in the order of the requests.
    const descriptors = this.#options.takeDescriptors(request.id, request.descriptors);
    if (this.#underWay >= MAX_PENDING_REQUESTS) {
      throw new MukonError("KEEPER_PROTOCOL", "The shim asks more than it may at a time.");
    }
    this.#underWay += 1;
    void this.#answer(request, descriptors).finally(() => {
      this.#underWay -= 1;
    });
  }

  async #answer(request: Request, descriptors: readonly number[]): Promise<void> {
    const { id } = request;
    try {
      const { handler, params } = this.#prepare(request, descriptors);
      this.#write({ id, result: await handler(params, descriptors) });
    } catch (error) {
      this.#write({ id, error: toWireError(error) });
    }
  }

  #prepare(
    request: Request,
    descriptors: readonly number[],
  ): { handler: AnyHandler; params: unknown } {
    try {
      const { method } = request;
      if (!isMethod(method)) throw new Error("no such request");
      const params = v.parse(METHODS[method].params, request.params);
      return { handler: this.#options.handlers[method] as AnyHandler, params };
    } catch (cause) {
      closeAll(descriptors);
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MukonError(
        "KEEPER_REQUEST_INVALID",
        `The keeper does not take this "${request.method}": ${why}`,
        { cause },
      );
    }
  }

  #write(message: unknown): void {
    if (this.#isOver) return;
    try {
      this.#options.control.write(encodeMessage(message, MAX_REPLY_LINE_BYTES));
    } catch (error) {
      this.#end(asMukonError(error));
    }
  }

  #end(error: MukonError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settleEnded(error);
    this.#options.control.destroy();
  }
}
