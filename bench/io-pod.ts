// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../src/linux/run.ts";

const BYTES_PER_MIB = 1024 * 1024;
const SECONDS_PER_MINUTE = 60;
const PIECES = { "4 KiB": 4096, "1 MiB": BYTES_PER_MIB } as const;
/** Pieces of 4 KiB take longer, so fewer of them are moved. */
const SMALL_SHARE = 1 / 64;
/** In the container. */
const PLACES = { "virtio-fs": "/shared/file", block: "/dev/disk" } as const;

export interface Access {
  place: keyof typeof PLACES;
  piece: keyof typeof PIECES;
  direction: "written" | "read";
}

/** What is written is what is read next. */
export function accesses(): Access[] {
  return (Object.keys(PLACES) as Access["place"][]).flatMap((place) =>
    (Object.keys(PIECES) as Access["piece"][]).flatMap((piece) =>
      (["written", "read"] as const).map((direction) => ({ place, piece, direction })),
    ),
  );
}

/** A pod with a directory of the host's and a disk, in which one file after the other is moved. */
export class IoPod {
  readonly #mukon: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #bytes: number;
  /** On a disk: files in memory would not be moved by the means that are measured. */
  readonly #directory = mkdtempSync("/var/tmp/mukon-bench-io-");
  #id = "";

  private constructor(mukon: readonly string[], options: { env: NodeJS.ProcessEnv; mib: number }) {
    this.#mukon = mukon;
    this.#env = options.env;
    this.#bytes = options.mib * BYTES_PER_MIB;
  }

  static async start(
    mukon: readonly string[],
    options: { env: NodeJS.ProcessEnv; mib: number },
  ): Promise<IoPod> {
    const pod = new IoPod(mukon, options);
    try {
      await pod.#start();
      return pod;
    } catch (error) {
      await pod.close();
      throw error;
    }
  }

  /** MiB in a second, by the guest's clock, once all of it is where it is to be. */
  async rateOf({ place, piece, direction }: Access): Promise<number> {
    const size = PIECES[piece];
    const bytes = piece === "4 KiB" ? this.#bytes * SMALL_SHARE : this.#bytes;
    const path = PLACES[place];
    const ends =
      direction === "written"
        ? `if=/dev/zero of=${path} oflag=direct conv=notrunc,fsync`
        : `if=${path} of=/dev/null iflag=direct`;
    const script = `time dd ${ends} bs=${size} count=${Math.ceil(bytes / size)}`;
    const { stderr } = await this.#run(["exec", this.#id, "sh", "-c", script]);
    const [, minutes, seconds] = /^real\s+(\d+)m ([\d.]+)s$/m.exec(stderr) ?? [];
    if (minutes === undefined || seconds === undefined) throw new Error(`dd said: ${stderr}`);
    return bytes / BYTES_PER_MIB / (Number(minutes) * SECONDS_PER_MINUTE + Number(seconds));
  }

  async close(): Promise<void> {
    if (this.#id !== "") await this.#run(["rm", "--force", this.#id]);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const [shared, disk] = [join(this.#directory, "shared"), join(this.#directory, "disk")];
    mkdirSync(shared);
    writeFileSync(disk, "");
    truncateSync(disk, this.#bytes);
    const given = ["-v", `${shared}:/shared`, "--device", `${disk}:${PLACES.block}`];
    const { stdout } = await this.#run([
      ...["run", "--detach", ...given, "busybox"],
      ...["sleep", "100000"],
    ]);
    this.#id = stdout.trim();
  }

  async #run(words: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    return await run([...this.#mukon, ...words], { env: this.#env });
  }
}
