// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";
import type { MukonError } from "../errors/mukon-error.ts";
import type { Logger } from "../logging/logger.ts";
import { MAX_MESSAGE_CHARACTERS } from "../sandbox/messages/limits.ts";
import { plainHead } from "../sandbox/messages/text.ts";
import { ControlServer } from "./control/control-server.ts";
import type { DescriptorTaker } from "./control/descriptor-inbox.ts";
import type { Handlers } from "./control/handlers.ts";
import { Guest, type GuestStreams } from "./guest/guest.ts";
import { Containers } from "./process/containers.ts";
import { containerRequests } from "./requests/container-requests.ts";
import type { KeeperContext } from "./requests/context.ts";
import { networkRequests } from "./requests/network-requests.ts";
import { processRequests } from "./requests/process-requests.ts";
import { sandboxRequests } from "./requests/sandbox-requests.ts";
import { volumeRequests } from "./requests/volume-requests.ts";

export interface KeeperOptions {
  control: Duplex;
  takeDescriptors: DescriptorTaker;
  streams: GuestStreams;
  logger: Logger;
}

const QUIT_TIMEOUT_MS = 500;

/**
 * Everything of a pod that talks to the untrusted side. Runs until the shim is gone; that the
 * guest is gone is told, once, with the last words of its console.
 */
export class Keeper {
  readonly #control: ControlServer;
  readonly #guest: Guest;
  readonly #logger: Logger;
  #isNews = false;

  constructor(options: KeeperOptions) {
    this.#logger = options.logger;
    this.#guest = new Guest(options.streams);
    this.#control = new ControlServer({ ...options, handlers: this.#handlers() });
  }

  /** Resolves when the shim is gone and the VMM was told to end. */
  async run(): Promise<MukonError | undefined> {
    const error = await this.#control.ended;
    await this.#guest.quit(QUIT_TIMEOUT_MS);
    return error;
  }

  /** Tells the shim that the pod is over; only once, and only if it does not know already. */
  async reportLost(error: Error): Promise<void> {
    if (!this.#isNews) return;
    this.#isNews = false;
    this.#logger.warn("the guest is lost", { reason: error.message });
    this.#control.send({
      event: "lost",
      reason: plainHead(error.message, MAX_MESSAGE_CHARACTERS),
      consoleTail: await this.#guest.consoleTail(),
    });
  }

  #handlers(): Handlers {
    const context: KeeperContext = {
      guest: this.#guest,
      containers: new Containers(),
      send: (event) => this.#control.send(event),
      logger: this.#logger,
      expectEnd: () => {
        this.#isNews = false;
      },
    };
    const sandbox = sandboxRequests(context);
    return {
      ...sandbox,
      ...containerRequests(context),
      ...processRequests(context),
      ...volumeRequests(context),
      ...networkRequests(context),
      boot: async (params, descriptors) => {
        const result = await sandbox.boot(params, descriptors);
        // Until here a loss is the failure of this request; from here on it is an event.
        this.#isNews = true;
        void this.#guest.lost.then((error) => this.reportLost(error));
        return result;
      },
    };
  }
}
