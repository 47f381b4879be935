// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { Task } from "../../../src/generated/containerd/task_pb.ts";
import { Status } from "../../../src/generated/containerd/task_types_pb.ts";
import { Task as TaskV3 } from "../../../src/generated/containerd/task_v3_pb.ts";
import { type ClientOptions, TtrpcClient } from "../../../src/ttrpc/client.ts";
import type { ServiceHandlers } from "../../../src/ttrpc/handlers.ts";
import { TtrpcServer } from "../../../src/ttrpc/server.ts";
import type { ServerConnection } from "../../../src/ttrpc/server-connection.ts";
import { StatusCode } from "../../../src/ttrpc/status.ts";
import { TtrpcError } from "../../../src/ttrpc/ttrpc-error.ts";
import { connectedStreams } from "./connected-streams.ts";

interface Setup {
  handlers: ServiceHandlers<typeof Task>;
  options?: ClientOptions;
}

async function serving(
  context: TestContext,
  { handlers, options }: Setup,
): Promise<{ client: TtrpcClient; connection: ServerConnection; received: () => Buffer }> {
  const [near, far] = await connectedStreams();
  const server = new TtrpcServer().register(Task, handlers).register(TaskV3, handlers);
  const connection = server.serve(far);
  const client = new TtrpcClient(near, options);
  const chunks: Buffer[] = [];
  near.on("data", (chunk: Buffer) => chunks.push(chunk));
  context.after(() => {
    client.close();
    connection.close();
  });
  return { client, connection, received: () => Buffer.concat(chunks) };
}

test("a call reaches its handler, and the answer its caller, under both versions", async (context) => {
  const { client } = await serving(context, {
    handlers: { state: ({ id }) => ({ id, pid: 7, status: Status.RUNNING }) },
  });
  const second = await client.call(Task.method.state, { id: "a" });
  assert.deepEqual([second.id, second.pid, second.status], ["a", 7, Status.RUNNING]);
  assert.equal((await client.call(TaskV3.method.state, { id: "b" })).id, "b");
});

test("a slow call does not hold up others", async (context) => {
  const { client } = await serving(context, {
    handlers: {
      wait: async () => {
        await sleep(50);
        return { exitStatus: 3 };
      },
      connect: () => ({ shimPid: 1 }),
    },
  });
  const order: string[] = [];
  const slow = client.call(Task.method.wait, {}).then((reply) => {
    order.push("wait");
    return reply;
  });
  await client.call(Task.method.connect, {}).then(() => order.push("connect"));
  assert.equal((await slow).exitStatus, 3);
  assert.deepEqual(order, ["connect", "wait"]);
});

test("timeout and metadata reach the handler", async (context) => {
  const seen: unknown[] = [];
  const { client } = await serving(context, {
    handlers: {
      connect: (_request, { timeoutMs, metadata }) => {
        seen.push(timeoutMs, metadata.get("containerd-namespace-ttrpc"));
        return {};
      },
    },
  });
  const metadata = { "containerd-namespace-ttrpc": "k8s.io" };
  await client.call(Task.method.connect, {}, { timeoutMs: 5000, metadata });
  assert.deepEqual(seen, [5000, ["k8s.io"]]);
});

test("a method without handler and an unknown service are unimplemented", async (context) => {
  const { client } = await serving(context, { handlers: {} });
  const unimplemented = { code: "CALL_FAILED", status: StatusCode.UNIMPLEMENTED };
  await assert.rejects(client.call(Task.method.checkpoint, {}), unimplemented);
  await assert.rejects(
    client.call(Task.method.connect, {}, { serviceName: "containerd.task.v9.Task" }),
    unimplemented,
  );
});

function failing(): ServiceHandlers<typeof Task> {
  return {
    state: () => {
      throw new TtrpcError("TASK_UNKNOWN", "no task x", {
        status: StatusCode.NOT_FOUND,
        hint: "see mukon ps",
        details: { id: "x" },
      });
    },
    create: () => {
      throw new MukonError("BOOT_FAILED", "kernel panic");
    },
    start: () => Promise.reject(new Error("plain")),
  };
}

test("errors keep status and text for everyone, code and hint for who trusts the side", async (context) => {
  const { client } = await serving(context, {
    handlers: failing(),
    options: { isPeerTrusted: true },
  });
  await assert.rejects(client.call(Task.method.state, {}), {
    code: "TASK_UNKNOWN",
    message: "no task x",
    hint: "see mukon ps",
    details: { id: "x" },
    status: StatusCode.NOT_FOUND,
  });
  await assert.rejects(client.call(Task.method.create, {}), {
    code: "BOOT_FAILED",
    status: StatusCode.UNKNOWN,
  });
  await assert.rejects(client.call(Task.method.start, {}), { code: "INTERNAL", message: "plain" });
});

test("who does not know mukon's errors gets no details that it could only complain about", async (context) => {
  const { client, received } = await serving(context, { handlers: failing() });
  await assert.rejects(client.call(Task.method.state, {}));
  assert.match(received().toString("latin1"), /no task x/);
  assert.doesNotMatch(received().toString("latin1"), /dev\.mukon/);
});

test("a side that is not trusted cannot speak in mukon's name", async (context) => {
  const { client } = await serving(context, { handlers: failing() });
  await assert.rejects(client.call(Task.method.state, {}), (error: TtrpcError) => {
    assert.equal(error.code, "CALL_FAILED");
    assert.equal(error.status, StatusCode.NOT_FOUND);
    assert.equal(error.hint, undefined);
    assert.equal(error.message, "no task x [TASK_UNKNOWN] (see mukon ps)");
    return true;
  });
});

test("a call that is not answered in time fails, and its late answer disturbs nobody", async (context) => {
  const { client } = await serving(context, {
    handlers: {
      wait: async () => {
        await sleep(60);
        return { exitStatus: 9 };
      },
    },
  });
  await assert.rejects(client.call(Task.method.wait, {}, { timeoutMs: 10 }), {
    code: "CALL_TIMEOUT",
    status: StatusCode.DEADLINE_EXCEEDED,
  });
  await sleep(80);
  assert.equal((await client.call(Task.method.wait, {})).exitStatus, 9);
});

test("a call can be given up, before and while it runs", async (context) => {
  const { client } = await serving(context, { handlers: { wait: () => new Promise(() => {}) } });
  const controller = new AbortController();
  const call = client.call(Task.method.wait, {}, { signal: controller.signal });
  controller.abort();
  const aborted = { code: "CALL_ABORTED", status: StatusCode.CANCELLED };
  await assert.rejects(call, aborted);
  await assert.rejects(client.call(Task.method.wait, {}, { signal: controller.signal }), aborted);
});

test("the end of a connection fails what waits on either side", async (context) => {
  let signal: AbortSignal | undefined;
  const { client, connection } = await serving(context, {
    handlers: {
      wait: (_request, call) => {
        signal = call.signal;
        return new Promise(() => {});
      },
    },
  });
  const call = client.call(Task.method.wait, {});
  const closed = { code: "CONNECTION_CLOSED", status: StatusCode.UNAVAILABLE };
  const failed = assert.rejects(call, closed);
  while (signal === undefined) await sleep(1);
  const ended = once(signal, "abort");
  client.close();
  await Promise.all([failed, ended, client.closed, connection.closed]);
  await assert.rejects(client.call(Task.method.wait, {}), closed);
});

test("messages beyond 4 MiB are refused on both sides, and the connection lives on", async (context) => {
  const { client } = await serving(context, {
    handlers: {
      state: () => ({ bundle: "x".repeat(5 * 1024 * 1024) }),
      connect: () => ({ shimPid: 1 }),
    },
  });
  const id = "x".repeat(5 * 1024 * 1024);
  await assert.rejects(client.call(Task.method.state, { id }), { code: "MESSAGE_TOO_LARGE" });
  await assert.rejects(client.call(Task.method.state, {}), {
    status: StatusCode.RESOURCE_EXHAUSTED,
  });
  assert.equal((await client.call(Task.method.connect, {})).shimPid, 1);
});
