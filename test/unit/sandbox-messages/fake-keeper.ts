// SPDX-License-Identifier: Apache-2.0
import { Duplex } from "node:stream";
import { KeeperClient } from "../../../src/sandbox/keeper-client.ts";
import type { KeeperEvent } from "../../../src/sandbox/messages/events.ts";

interface AnyRequest {
  id: number;
  method: string;
  params: Record<string, unknown>;
  descriptors: number;
}

/** The far end of a control socket, which answers each request as the test says. */
export class FakeKeeper extends Duplex {
  readonly requests: AnyRequest[] = [];
  readonly #answer: (request: AnyRequest) => unknown;

  constructor(answer: (request: AnyRequest) => unknown) {
    super();
    this.#answer = answer;
  }

  say(message: unknown): void {
    this.push(typeof message === "string" ? message : `${JSON.stringify(message)}\n`);
  }

  hangUp(): void {
    this.push(null);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const request: AnyRequest = JSON.parse(chunk.toString());
    this.requests.push(request);
    const answer = this.#answer(request);
    if (answer !== undefined) this.say(answer);
    done();
  }
}

export interface FakePair {
  fake: FakeKeeper;
  client: KeeperClient;
  events: KeeperEvent[];
  /** Payload and descriptors of each hand-over. */
  sent: { payload: Buffer; fds: number[] }[];
}

/** A client whose keeper answers `{}`, or what `answer` gives (`undefined`: nothing). */
export function fakePair(
  answer: (request: AnyRequest) => unknown = ({ id }) => ({ id, result: {} }),
): FakePair {
  const fake = new FakeKeeper(answer);
  const events: KeeperEvent[] = [];
  const sent: FakePair["sent"] = [];
  const client = new KeeperClient({
    control: fake,
    descriptorSocketFd: -1,
    onEvent: (event) => events.push(event),
    sendDescriptors: (_socket, payload, fds) => {
      // The order is what counts: descriptors first.
      sent.push({ payload: Buffer.concat([payload, Buffer.from([fake.requests.length])]), fds });
    },
  });
  return { fake, client, events, sent };
}
