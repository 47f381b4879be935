// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";
import * as v from "valibot";
import { MukonError } from "../../../errors/mukon-error.ts";
import { sendDescriptors } from "../../../linux/descriptors.ts";
import { JsonLineDecoder } from "../../json-lines.ts";
import { Greeting, type QemuVersion, type QmpEvent, QmpLine } from "./messages.ts";

const MAX_LINE_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_DESCRIPTION_CHARACTERS = 500;

export interface QmpCommandOptions {
  /** How long QEMU may take; default 10 s. */
  timeoutMs?: number;
  /** Descriptor to send with the command. */
  descriptor?: number;
}

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: MukonError) => void;
}

/**
 * QEMU's control protocol over a connected socket, one command at a time. QEMU may be captured by
 * its guest: lines are bounded, and anything that is not QMP ends the connection.
 *
 * Errors of all commands: `QMP_COMMAND_FAILED` with QEMU's reason, `QMP_TIMEOUT`, `QMP_CLOSED`,
 * `QMP_PROTOCOL`.
 */
export class QmpClient {
  /** Resolves, with the reason, when the connection has ended; never rejects. */
  readonly closed: Promise<MukonError>;
  readonly #stream: Duplex;
  readonly #socketFd: number;
  readonly #decoder = new JsonLineDecoder({
    maxLineBytes: MAX_LINE_BYTES,
    errorCode: "QMP_PROTOCOL",
    subject: "A message of QEMU",
  });
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #pending = new Map<number, Pending>();
  #greet: Pending | undefined;
  #version: QemuVersion | undefined;
  #settleClosed: (error: MukonError) => void = () => {};
  #ended: MukonError | undefined;
  #lastId = 0;
  #queue: Promise<unknown> = Promise.resolve();

  /** `socketFd` is the descriptor beneath `stream`, which descriptors are sent over. */
  constructor(stream: Duplex, socketFd: number) {
    this.#stream = stream;
    this.#socketFd = socketFd;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("error", (cause) => this.#end(closedError(cause)));
    stream.on("end", () => this.#end(closedError()));
    stream.on("close", () => this.#end(closedError()));
  }

  /** Awaits QEMU's greeting and enters command mode; to be called once, before all else. */
  async handshake(options: { timeoutMs?: number } = {}): Promise<QemuVersion> {
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    if (this.#version === undefined) {
      await this.#within(timeoutMs, "the greeting", (pending) => {
        this.#greet = pending;
      });
    }
    await this.execute("qmp_capabilities", {}, { timeoutMs });
    if (this.#version === undefined) throw this.#ended ?? closedError();
    return this.#version;
  }

  /** Runs a command, after those before it are done; returns QEMU's answer, unchecked. */
  execute(
    command: string,
    parameters: Record<string, unknown> = {},
    options: QmpCommandOptions = {},
  ): Promise<unknown> {
    const result = this.#queue.then(() => this.#run({ command, parameters, options }));
    this.#queue = result.catch(() => {});
    return result;
  }

  /** Gives QEMU a copy of `descriptor`, to be opened as `/dev/fdset/<setId>`. */
  async addDescriptor(setId: number, descriptor: number): Promise<void> {
    await this.execute("add-fd", { "fdset-id": setId }, { descriptor });
  }

  /** Calls `listener` at each event until the returned function is called. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#end(closedError());
  }

  #run(call: {
    command: string;
    parameters: Record<string, unknown>;
    options: QmpCommandOptions;
  }): Promise<unknown> {
    const { command, parameters, options } = call;
    const id = ++this.#lastId;
    const line = Buffer.from(
      `${JSON.stringify({ execute: command, arguments: parameters, id })}\n`,
    );
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const reply = this.#within(timeoutMs, `"${command}"`, (pending) => {
      this.#pending.set(id, pending);
      this.#write(line, options.descriptor);
    });
    return reply.finally(() => this.#pending.delete(id));
  }

  #write(line: Buffer, descriptor: number | undefined): void {
    if (descriptor === undefined) {
      this.#stream.write(line);
      return;
    }
    // The command goes past the stream's own queue, which must be empty not to be overtaken.
    try {
      if (this.#stream.writableLength > 0) throw new Error("QEMU does not read its commands");
      sendDescriptors(this.#socketFd, line, [descriptor]);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MukonError("QMP_DESCRIPTORS", `QEMU cannot be given a descriptor: ${why}`, {
        cause,
      });
    }
  }

  #within(timeoutMs: number, what: string, start: (pending: Pending) => void): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new MukonError("QMP_TIMEOUT", `QEMU did not answer ${what} in ${timeoutMs} ms.`)),
        timeoutMs,
      );
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          then(value);
        };
      try {
        start({ resolve: settle(resolve), reject: settle(reject) });
      } catch (error) {
        clearTimeout(timer);
        reject(error);
      }
    });
  }

  #receive(chunk: Buffer): void {
    try {
      for (const value of this.#decoder.push(chunk)) {
        if (this.#ended !== undefined) return;
        this.#handle(value);
      }
    } catch (cause) {
      this.#end(asProtocolError(cause));
    }
  }

  #handle(value: unknown): void {
    if (this.#version === undefined) {
      this.#version = v.parse(Greeting, value).QMP.version.qemu;
      this.#greet?.resolve(undefined);
      return;
    }
    const line = v.parse(QmpLine, value);
    if ("event" in line) this.#tell(line);
    else if ("error" in line) this.#refuse(line);
    // An answer that comes after its deadline has nobody to go to.
    else this.#pending.get(line.id)?.resolve(line.return);
  }

  #tell(line: { event: string; data?: unknown }): void {
    const data = typeof line.data === "object" && line.data !== null ? line.data : {};
    for (const listener of this.#listeners) listener({ name: line.event, data: { ...data } });
  }

  #refuse(line: { error: { class: string; desc: string }; id?: number | undefined }): void {
    const reason = line.error.desc.slice(0, MAX_DESCRIPTION_CHARACTERS);
    // Without a number QEMU could not read our command at all, which does not happen by itself.
    if (line.id === undefined) throw new MukonError("QMP_PROTOCOL", `QEMU complains: ${reason}`);
    this.#pending
      .get(line.id)
      ?.reject(new MukonError("QMP_COMMAND_FAILED", `QEMU refused a command: ${reason}`));
  }

  #end(error: MukonError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#greet?.reject(error);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#stream.destroy();
    this.#settleClosed(error);
  }
}

function closedError(cause?: Error): MukonError {
  return new MukonError("QMP_CLOSED", "QEMU closed its control socket.", {
    hint: "QEMU ended or was killed; its log and the guest's console say why.",
    cause,
  });
}

function asProtocolError(cause: unknown): MukonError {
  if (cause instanceof MukonError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MukonError("QMP_PROTOCOL", `QEMU sent what is not QMP: ${why}`, { cause });
}
