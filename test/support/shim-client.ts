// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type Server, Socket } from "node:net";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { openGuest } from "../../guest/image/open.ts";
import { makeSpec } from "../../src/cli/container/spec.ts";
import { TaskExitSchema } from "../../src/generated/containerd/events_pb.ts";
import { Events } from "../../src/generated/containerd/forward_pb.ts";
import { Task } from "../../src/generated/containerd/task_pb.ts";
import type { OciSpec } from "../../src/guest-protocol/oci-spec.ts";
import { openFifoForReading, openFifoForWriting } from "../../src/linux/fifo.ts";
import { run } from "../../src/linux/run.ts";
import { TtrpcClient } from "../../src/ttrpc/client.ts";
import { TtrpcServer } from "../../src/ttrpc/server.ts";

// A template that is made in the background would be taken for something left behind.
process.env.MUKON_BUILD_TEMPLATES ??= "never";

const SHIM = join(import.meta.dirname, "..", "..", "dist", "shim.cjs");
const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";

export interface ForwardedEvent {
  topic: string;
  namespace: string;
  /** Of exits: the process and its status. */
  exit?: { id: string; status: number };
}

/** The part of containerd that a shim knows: a socket that takes events. */
export class FakeContainerd {
  readonly events: ForwardedEvent[] = [];
  readonly address: string;
  readonly #server: Server;

  private constructor(address: string, server: Server) {
    this.address = address;
    this.#server = server;
  }

  static async listen(directory: string): Promise<FakeContainerd> {
    const address = join(directory, "c.sock");
    const server = createServer();
    const fake = new FakeContainerd(address, server);
    const services = new TtrpcServer().register(Events, {
      forward: ({ envelope }) => {
        fake.#take(envelope?.topic ?? "", envelope?.namespace ?? "", envelope?.event?.value);
        return {};
      },
    });
    server.on("connection", (socket) => services.serve(socket));
    await new Promise<void>((done) => server.listen(`${address}.ttrpc`, done));
    return fake;
  }

  topics(): string[] {
    return this.events.map(({ topic, exit }) =>
      exit === undefined ? topic : `${topic} ${exit.id} ${exit.status}`,
    );
  }

  close(): void {
    this.#server.close();
  }

  #take(topic: string, namespace: string, value: Uint8Array | undefined): void {
    if (topic !== "/tasks/exit" || value === undefined) {
      this.events.push({ topic, namespace });
      return;
    }
    const { id, exitStatus: status } = fromBinary(TaskExitSchema, value);
    this.events.push({ topic, namespace, exit: { id, status } });
  }
}

export interface ShimCall {
  directory: string;
  id: string;
  containerd: FakeContainerd;
  namespace?: string;
  input?: Buffer;
  env?: NodeJS.ProcessEnv;
}

export interface ShimOutput {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

/** The shim's program with what containerd tells it in any case. */
export function shimCommand({ containerd, namespace = "test", id }: ShimCall): string[] {
  const common = ["-namespace", namespace, "-address", containerd.address, "-id", id];
  return [process.execPath, SHIM, ...common];
}

/** Runs the shim's program as containerd does, and waits as it does: until the pipes are closed. */
export async function runShim(call: ShimCall, ...words: string[]): Promise<ShimOutput> {
  const { containerd } = call;
  const [program = "", ...common] = shimCommand(call);
  const child = spawn(program, [...common, ...words], {
    cwd: call.directory,
    env: { ...process.env, TTRPC_ADDRESS: `${containerd.address}.ttrpc`, ...call.env },
  });
  child.stdin.end(call.input ?? "");
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

/** A bundle as containerd makes it, with a container that runs `args` in the built-in image. */
export class Bundle {
  readonly directory: string;
  readonly id: string;

  constructor(parent: string, id: string, args: readonly string[], change: Partial<OciSpec> = {}) {
    this.id = id;
    this.directory = join(parent, id);
    mkdirSync(this.directory, { mode: 0o700 });
    const spec = makeSpec({
      id,
      command: [...args],
      environment: ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"],
      workingDirectory: "/",
      user: { uid: 0, gid: 0, additionalGids: [] },
      hostname: id,
      terminal: false,
      readOnly: false,
      annotations: {},
    });
    // As containerd's clients have it: those of `mukon run` ask for no network.
    writeFileSync(
      join(this.directory, "config.json"),
      JSON.stringify({ ...spec, annotations: {}, ...change }),
    );
  }

  get address(): string {
    return readFileSync(join(this.directory, "address"), "utf8");
  }

  async fifo(name: string): Promise<string> {
    const path = join(this.directory, name);
    await run(["mkfifo", path]);
    return path;
  }

  /** A FIFO and all that comes out of it. Ends when the shim's side has let go. */
  async output(
    name: string,
  ): Promise<{ path: string; ended: Promise<string>; text: () => string }> {
    const path = await this.fifo(name);
    const { readFd, holderFd } = openFifoForReading(path);
    const source = new Socket({ fd: readFd, readable: true, writable: false });
    const holder = new Socket({ fd: holderFd, readable: false, writable: true });
    const chunks: Buffer[] = [];
    const text = (): string => Buffer.concat(chunks).toString();
    // What a real client does too: once the other side has the FIFO open, its end is the end.
    source.once("data", () => holder.destroy());
    source.on("data", (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise<string>((done) => source.once("close", () => done(text())));
    return { path, ended, text };
  }

  async input(name: string): Promise<{ path: string; stream: Socket }> {
    const path = await this.fifo(name);
    const fd = openFifoForWriting(path);
    return { path, stream: new Socket({ fd, readable: false, writable: true }) };
  }
}

/** The Task API of a shim, in the words of its own messages. */
export class ShimClient {
  readonly #client: TtrpcClient;
  readonly #service: string | undefined;

  private constructor(client: TtrpcClient, service: string | undefined) {
    this.#client = client;
    this.#service = service;
  }

  static async connect(address: string, service?: string): Promise<ShimClient> {
    const socket = createConnection(address.replace(/^unix:\/\//, ""));
    await new Promise<void>((done, fail) => {
      socket.once("connect", done);
      socket.once("error", fail);
    });
    return new ShimClient(new TtrpcClient(socket), service);
  }

  close(): void {
    this.#client.close();
  }

  async create(
    bundle: Bundle,
    streams: { stdin?: string; stdout?: string; stderr?: string; terminal?: boolean } = {},
    mounts?: readonly { type: string; source: string; options: string[] }[],
  ): Promise<number> {
    const source = (await openGuest()).busyboxPath;
    const rootfs = [...(mounts ?? [{ type: "erofs", source, options: ["ro"] }])];
    const { id, directory } = bundle;
    const request = { id, bundle: directory, rootfs, ...streams };
    return (await this.#client.call(Task.method.create, request, this.#options)).pid;
  }

  async start(id: string, execId = ""): Promise<number> {
    return (await this.#client.call(Task.method.start, { id, execId }, this.#options)).pid;
  }

  async exec(
    id: string,
    execId: string,
    args: readonly string[],
    streams: { stdin?: string; stdout?: string; stderr?: string; terminal?: boolean } = {},
  ): Promise<void> {
    const process = {
      args,
      cwd: "/",
      env: ["PATH=/usr/bin:/bin"],
      terminal: streams.terminal ?? false,
    };
    const spec = { typeUrl: PROCESS_TYPE, value: Buffer.from(JSON.stringify(process)) };
    await this.#client.call(Task.method.exec, { id, execId, spec, ...streams }, this.#options);
  }

  async wait(id: string, execId = ""): Promise<number> {
    return (await this.#client.call(Task.method.wait, { id, execId }, this.#options)).exitStatus;
  }

  async kill(id: string, signal: number, execId = ""): Promise<void> {
    await this.#client.call(Task.method.kill, { id, execId, signal }, this.#options);
  }

  async state(id: string, execId = "") {
    return await this.#client.call(Task.method.state, { id, execId }, this.#options);
  }

  async delete(id: string, execId = "") {
    return await this.#client.call(Task.method.delete, { id, execId }, this.#options);
  }

  async pause(id: string): Promise<void> {
    await this.#client.call(Task.method.pause, { id }, this.#options);
  }

  async resume(id: string): Promise<void> {
    await this.#client.call(Task.method.resume, { id }, this.#options);
  }

  async pids(id: string): Promise<number[]> {
    const { processes } = await this.#client.call(Task.method.pids, { id }, this.#options);
    return processes.map(({ pid }) => pid);
  }

  async connectTask(id: string) {
    return await this.#client.call(Task.method.connect, { id }, this.#options);
  }

  async stats(id: string) {
    return (await this.#client.call(Task.method.stats, { id }, this.#options)).stats;
  }

  async closeInput(id: string, execId = ""): Promise<void> {
    await this.#client.call(Task.method.closeIO, { id, execId, stdin: true }, this.#options);
  }

  async resize(id: string, width: number, height: number): Promise<void> {
    await this.#client.call(Task.method.resizePty, { id, width, height }, this.#options);
  }

  async checkpoint(id: string): Promise<void> {
    await this.#client.call(Task.method.checkpoint, { id }, this.#options);
  }

  async shutdown(id: string): Promise<void> {
    await this.#client.call(Task.method.shutdown, { id }, this.#options);
  }

  get #options(): { serviceName?: string; timeoutMs: number } {
    const timeoutMs = 120_000;
    return this.#service === undefined ? { timeoutMs } : { timeoutMs, serviceName: this.#service };
  }
}

/** Runtime options that name a configuration file, as containerd puts them into standard input. */
export function optionsInput(configurationPath: string): Buffer {
  const path = Buffer.from(configurationPath);
  const options = Buffer.concat([Buffer.from([0x12, path.length]), path]);
  const name = Buffer.from("runtimeoptions.v1.Options");
  const any = [
    Buffer.from([0x0a, name.length]),
    name,
    Buffer.from([0x12, options.length]),
    options,
  ];
  const bytes = Buffer.concat(any);
  fromBinary(AnySchema, bytes);
  return bytes;
}
