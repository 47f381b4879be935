// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { type Change, changesBetween } from "../../host/volume-copies/changes.ts";
import {
  bytesOf,
  MAX_TOTAL_BYTES,
  readSnapshot,
  type VolumeEntry,
} from "../../host/volume-copies/snapshot.ts";
import { TreeWatch } from "../../host/volume-copies/watch.ts";
import type { Logger } from "../../logging/logger.ts";
import { MAX_VOLUME_PART_BYTES } from "../../sandbox/messages/limits.ts";
import type { TaskKeeper } from "./task-pod.ts";
import type { VolumeCopy } from "./volumes.ts";

const NOBODY = 65_534;
const MAX_ID = 0x7fff_ffff;

interface Parts {
  keeper: Pick<TaskKeeper, "putVolumeEntry">;
  log: Logger;
}

interface Following extends VolumeCopy {
  volume: string;
  watch?: TreeWatch;
}

/** The copies of the host's files that one container has in the guest. */
export class VolumeCopies {
  readonly #containerId: string;
  readonly #parts: Parts;
  readonly #volumes: Following[] = [];
  #isClosed = false;
  /** One change is sent after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(containerId: string, parts: Parts) {
    this.#containerId = containerId;
    this.#parts = parts;
  }

  /** For the keeper: which volume goes where. */
  get mounts(): { destination: string; volume: string }[] {
    return this.#volumes.map(({ destination, volume }) => ({ destination, volume }));
  }

  async copy(copies: readonly VolumeCopy[]): Promise<void> {
    for (const copy of copies) {
      const volume = `${this.#containerId}-v${this.#volumes.length}`;
      this.#volumes.push({ ...copy, volume });
      for (const entry of changesBetween([], copy.entries)) await this.#put(volume, entry);
    }
  }

  /** From here on, changes on the host reach the guest. */
  follow(): void {
    if (this.#isClosed) return;
    for (const one of this.#volumes) {
      const watch = new TreeWatch(one.source, () => this.#enqueue(one));
      one.watch = watch;
      watch.follow(one.entries);
      // What changed before the watch began is told by nobody.
      this.#enqueue(one);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const { watch } of this.#volumes) watch?.close();
  }

  /** Takes the copies away; their container is gone, the pod goes on. */
  async remove(): Promise<void> {
    this.close();
    await this.#work;
    for (const { volume } of this.#volumes) {
      await this.#put(volume, { path: "", kind: "nothing" }).catch((error: unknown) =>
        this.#parts.log.warn("the copy of a volume stays in the guest", { volume, error }),
      );
    }
  }

  #enqueue(one: Following): void {
    this.#work = this.#work.then(() => this.#update(one));
  }

  async #update(one: Following): Promise<void> {
    if (this.#isClosed) return;
    try {
      const entries = readSnapshot(one.source);
      this.#check(one, entries);
      const changes = changesBetween(one.entries, entries);
      if (changes.length === 0) return;
      for (const change of changes) await this.#put(one.volume, change);
      one.entries = entries;
      if (this.#isClosed) return;
      one.watch?.follow(entries);
    } catch (error) {
      if (this.#isClosed) return;
      this.#parts.log.warn("a volume is not up to date", { source: one.source, error });
    }
  }

  /** What is mounted cannot turn into something else, and all together stays small. */
  #check(one: Following, entries: readonly VolumeEntry[]): void {
    const [before, now] = [one.entries[0]?.kind, entries[0]?.kind];
    const others = this.#volumes.filter((other) => other !== one);
    const bytes = bytesOf([...others.flatMap((other) => other.entries), ...entries]);
    let why: string | undefined;
    if (now !== before) why = `it was a ${before} and is a ${now} now`;
    else if (bytes > MAX_TOTAL_BYTES)
      why = `the container's volumes have over ${MAX_TOTAL_BYTES} bytes`;
    if (why !== undefined) throw new MukonError("VOLUME_UNSUPPORTED", `${one.source}: ${why}`);
  }

  async #put(volume: string, entry: Change): Promise<void> {
    const isNothing = entry.kind === "nothing";
    const { mode, uid, gid, data } = isNothing
      ? { mode: 0, uid: 0, gid: 0, data: Buffer.alloc(0) }
      : entry;
    const fileSize = data.length;
    for (let offset = 0; ; offset += MAX_VOLUME_PART_BYTES) {
      const part = data.subarray(offset, offset + MAX_VOLUME_PART_BYTES);
      await this.#parts.keeper.putVolumeEntry({
        ...{ volume, path: entry.path, kind: entry.kind, mode, fileSize, offset },
        ...{ uid: known(uid), gid: known(gid), data: part.toString("base64") },
      });
      if (offset + part.length >= fileSize) return;
    }
  }
}

/** The agent's protocol has no place for larger ids. */
function known(id: number): number {
  return id > MAX_ID ? NOBODY : id;
}
