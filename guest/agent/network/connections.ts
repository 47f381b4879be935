// SPDX-License-Identifier: Apache-2.0
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { OutputStream } from "../container/output-stream.ts";
import { AgentError, Status } from "../errors.ts";

/** Programs listen on either. */
const LOOPBACKS = ["127.0.0.1", "::1"];
const MAX_CONNECTIONS = 64;
const MAX_PORT = 65_535;

interface Connection {
  readonly socket: Socket;
  readonly output: OutputStream;
}

/** Connections to ports on the guest's loopback that the host has asked for. */
export class Connections {
  readonly #connections = new Map<number, Connection>();
  #lastId = 0;
  #opening = 0;

  /** Connects; the connection's number. */
  async open(port: number): Promise<number> {
    if (port === 0 || port > MAX_PORT) {
      throw new AgentError(Status.invalidArgument, `${port} is no port`);
    }
    if (this.#connections.size + this.#opening >= MAX_CONNECTIONS) {
      throw new AgentError(Status.resourceExhausted, `${MAX_CONNECTIONS} connections are open`);
    }
    this.#opening += 1;
    try {
      const socket = await dial(port);
      this.#lastId += 1;
      this.#connections.set(this.#lastId, { socket, output: new OutputStream(socket) });
      return this.#lastId;
    } finally {
      this.#opening -= 1;
    }
  }

  /** Waits for bytes; none: the other side has ended. */
  async read(id: number, maxBytes: number): Promise<Buffer> {
    return await this.#get(id).output.read(maxBytes);
  }

  /** Returns when the kernel has taken the bytes. */
  async write(id: number, data: Buffer, isLast: boolean): Promise<void> {
    const { socket } = this.#get(id);
    if (data.length > 0) {
      await new Promise<void>((done, fail) => {
        socket.write(data, (error) => (error ? fail(error) : done()));
      });
    }
    if (isLast) socket.end();
  }

  close(id: number): void {
    this.#connections.get(id)?.socket.destroy();
    this.#connections.delete(id);
  }

  /** The host that asked for them is gone. */
  closeAll(): void {
    for (const id of [...this.#connections.keys()]) this.close(id);
  }

  #get(id: number): Connection {
    const connection = this.#connections.get(id);
    if (connection !== undefined) return connection;
    throw new AgentError(Status.notFound, `there is no connection ${id}`);
  }
}

async function dial(port: number): Promise<Socket> {
  let reason: unknown;
  for (const host of LOOPBACKS) {
    const socket = connect({ host, port, allowHalfOpen: true });
    try {
      await once(socket, "connect");
      return socket;
    } catch (error) {
      socket.destroy();
      reason = error;
    }
  }
  throw new AgentError(Status.notFound, `nothing listens on port ${port}`, reason);
}
