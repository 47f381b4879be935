// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { socketPair } from "../linux/descriptors.ts";

/** Descriptors that somebody has to close, however far things went. */
export class OwnedDescriptors {
  readonly #open = new Set<number>();

  /** Takes a descriptor over; returns it. */
  own(descriptor: number): number {
    this.#open.add(descriptor);
    return descriptor;
  }

  /** Two connected stream sockets, both owned. */
  socketPair(): [number, number] {
    const [a, b] = socketPair();
    return [this.own(a), this.own(b)];
  }

  /** Gives a descriptor away: it will not be closed here. */
  release(descriptor: number): number {
    this.#open.delete(descriptor);
    return descriptor;
  }

  /** Closes these, those that are not owned (any more) apart. */
  close(descriptors: Iterable<number>): void {
    for (const descriptor of descriptors) {
      if (this.#open.delete(descriptor)) closeSync(descriptor);
    }
  }

  closeAll(): void {
    this.close([...this.#open]);
  }
}
