// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";

/** Settles when the stream has ended for good, also when it had before. */
export function whenClosed(stream: Duplex): Promise<void> {
  if (stream.closed) return Promise.resolve();
  return new Promise((done) => stream.once("close", () => done()));
}
