// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ReadStream } from "node:tty";
import { setCloseOnExec } from "../../src/linux/descriptors.ts";
import { systemCall } from "../../src/linux/system-call.ts";

const TIOCSWINSZ = 0x5414;
/** Longer than the C library's struct termios, which begins with four words of flags. */
const TERMIOS_BYTES = 64;
const OUTPUT_FLAGS_OFFSET = 4;
const OPOST = 0o1;
const LOCAL_FLAGS_OFFSET = 12;
const ICANON = 0o2;
const ECHO = 0o10;
const DRAIN_MS = 5000;
const CLOSE_MS = 15_000;

const openpty = systemCall(
  "int openpty(void *master, void *slave, void *name, void *attributes, void *size)",
);
const ioctl = systemCall("int ioctl(int fd, unsigned long request, void *argument)");
const tcgetattr = systemCall("int tcgetattr(int fd, void *attributes)");

/** How a terminal treats keys. */
export interface TerminalMode {
  /** They are shown as they are typed. */
  isEchoing: boolean;
  /** Lines can be edited before they are sent. */
  isLineByLine: boolean;
  /** What is printed is changed: a carriage return is put before each newline. */
  isTranslating: boolean;
}

export interface TerminalOutcome {
  code: number | null;
  /** All that was shown. */
  shown: string;
  /** As the program left it; undefined when it was hung up. */
  mode: TerminalMode | undefined;
}

/** A program in a terminal of its own, as if somebody sat in front of it. */
export class PseudoTerminal {
  readonly pid: number;
  /** Settles when the program has ended and all of its output is here. */
  readonly ended: Promise<TerminalOutcome>;
  readonly #master: number;
  readonly #screen: ReadStream;
  #shown = "";
  #code: number | null | undefined;

  constructor(argv: readonly string[], size = { columns: 80, rows: 24 }) {
    const [masterBuffer, slaveBuffer] = [Buffer.alloc(4), Buffer.alloc(4)];
    openpty(masterBuffer, slaveBuffer, null, null, windowSize(size.columns, size.rows));
    this.#master = masterBuffer.readInt32LE();
    const slave = slaveBuffer.readInt32LE();
    // A program that held its own keyboard could not be hung up.
    setCloseOnExec(this.#master, true);
    setCloseOnExec(slave, true);
    this.#screen = new ReadStream(this.#master);
    this.#screen.on("data", (chunk) => {
      this.#shown += chunk.toString();
    });
    // Reading fails as soon as nobody has the other side open: that is the end.
    this.#screen.on("error", () => {});
    const closed = new Promise<void>((done) => this.#screen.once("close", done));
    // Only the terminal's own session is told that its size has changed.
    const child = spawn("setsid", ["--ctty", ...argv], {
      stdio: [slave, slave, slave],
      env: { ...process.env, TERM: "xterm" },
    });
    this.pid = child.pid ?? 0;
    this.ended = new Promise((done, fail) => {
      child.once("error", fail);
      child.once("exit", async (code) => {
        this.#code = code;
        const mode = this.#screen.destroyed ? undefined : this.mode;
        closeSync(slave);
        await Promise.race([closed, sleep(DRAIN_MS, undefined, { ref: false })]);
        this.hangUp();
        done({ code, shown: this.#shown, mode });
      });
    });
  }

  get mode(): TerminalMode {
    const attributes = Buffer.alloc(TERMIOS_BYTES);
    tcgetattr(this.#master, attributes);
    const local = attributes.readUInt32LE(LOCAL_FLAGS_OFFSET);
    return {
      isEchoing: (local & ECHO) !== 0,
      isLineByLine: (local & ICANON) !== 0,
      isTranslating: (attributes.readUInt32LE(OUTPUT_FLAGS_OFFSET) & OPOST) !== 0,
    };
  }

  /** Presses keys. */
  type(keys: string): void {
    writeSync(this.#master, keys);
  }

  resize(columns: number, rows: number): void {
    ioctl(this.#master, TIOCSWINSZ, windowSize(columns, rows));
  }

  /** Closes the window, as it were: the program gets SIGHUP. */
  hangUp(): void {
    this.#screen.destroy();
  }

  /** Hangs up, and kills a program that does not care. */
  async close(): Promise<void> {
    this.hangUp();
    const timer = setTimeout(() => process.kill(this.pid, "SIGKILL"), CLOSE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  /** Waits until `pattern` has been shown; types `keys` again and again meanwhile, if given. */
  async waitFor(
    pattern: RegExp,
    options: { keys?: string; timeoutMs?: number } = {},
  ): Promise<void> {
    const deadline = Date.now() + (options.timeoutMs ?? 60_000);
    for (let polls = 0; !pattern.test(this.#shown); polls++) {
      if (this.#code !== undefined || Date.now() > deadline) {
        const state = this.#code === undefined ? "still runs" : `ended with ${this.#code}`;
        throw new Error(`no ${pattern}; the program ${state}: ${JSON.stringify(this.#shown)}`);
      }
      if (options.keys !== undefined && polls % 20 === 0) this.type(options.keys);
      await sleep(50);
    }
  }
}

/** struct winsize: rows and columns, then a size in pixels that nobody uses. */
function windowSize(columns: number, rows: number): Buffer {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(rows, 0);
  size.writeUInt16LE(columns, 2);
  return size;
}
