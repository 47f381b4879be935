// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { descriptorInbox } from "../../src/keeper/control/descriptor-inbox.ts";
import { Keeper } from "../../src/keeper/keeper.ts";
import { socketPair } from "../../src/linux/descriptors.ts";
import { createLogger } from "../../src/logging/logger.ts";
import { KeeperClient } from "../../src/sandbox/keeper-client.ts";
import type { KeeperEvent } from "../../src/sandbox/messages/events.ts";

/** A stream whose far end a test plays: what is written is kept, what is said is read. */
export class FarEnd extends Duplex {
  readonly written: Buffer[] = [];
  onWrite: (chunk: Buffer) => void = () => {};

  say(bytes: string | Uint8Array): void {
    if (!this.destroyed) this.push(bytes);
  }

  hangUp(): void {
    if (!this.destroyed) this.push(null);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    this.onWrite(chunk);
    done();
  }
}

export interface KeeperInHand {
  client: KeeperClient;
  events: KeeperEvent[];
  agent: FarEnd;
  console: PassThrough;
  stop: () => Promise<void>;
}

/** A whole keeper in this process, between a real client and far ends that a test plays. */
export function startKeeper(qmp: Duplex): KeeperInHand {
  const control = socketPair();
  const descriptors = socketPair();
  const agent = new FarEnd();
  const console = new PassThrough();
  const keeper = new Keeper({
    control: new Socket({ fd: control[1], readable: true, writable: true }),
    takeDescriptors: descriptorInbox(descriptors[1]),
    streams: { qmp, qmpFd: -1, agent, console },
    logger: createLogger({ component: "keeper", sink: () => {} }),
  });
  const events: KeeperEvent[] = [];
  const client = new KeeperClient({
    control: new Socket({ fd: control[0], readable: true, writable: true }),
    descriptorSocketFd: descriptors[0],
    onEvent: (event) => events.push(event),
  });
  const finished = keeper.run();
  const stop = async (): Promise<void> => {
    client.close();
    await finished;
    for (const stream of [qmp, agent, console]) stream.destroy();
    for (const fd of descriptors) closeSync(fd);
  };
  return { client, events, agent, console, stop };
}
