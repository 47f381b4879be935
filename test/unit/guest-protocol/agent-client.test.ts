// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { type TestContext, test } from "node:test";
import { AgentService } from "../../../src/generated/agent/agent_pb.ts";
import { Health } from "../../../src/generated/agent/health_pb.ts";
import { AgentClient } from "../../../src/guest-protocol/agent-client.ts";
import { TtrpcClient } from "../../../src/ttrpc/client.ts";
import type { ServiceHandlers } from "../../../src/ttrpc/handlers.ts";
import { TtrpcServer } from "../../../src/ttrpc/server.ts";
import { fails } from "./helpers.ts";

const process = { containerId: "one", execId: "one" };
const never = () => new Promise<never>(() => undefined);

/** A client of an agent that answers with `handlers`. */
function clientOf(
  t: TestContext,
  handlers: ServiceHandlers<typeof AgentService>,
  health: ServiceHandlers<typeof Health> = {},
): AgentClient {
  const [near, far] = duplexPair();
  new TtrpcServer().register(AgentService, handlers).register(Health, health).serve(far);
  const client = new AgentClient(new TtrpcClient(near));
  t.after(() => client.close());
  return client;
}

test("a deadline goes with each call, but not with those that wait for events", async (t) => {
  const seen: Record<string, number | undefined> = {};
  const client = clientOf(t, {
    createSandbox: (_, { timeoutMs }) => {
      seen.createSandbox = timeoutMs;
      return {};
    },
    createContainer: (_, { timeoutMs }) => {
      seen.createContainer = timeoutMs;
      return {};
    },
    waitProcess: (_, { timeoutMs }) => {
      seen.waitProcess = timeoutMs;
      return { status: 137 };
    },
  });
  await client.call("createSandbox", { hostname: "pod" });
  await client.call("createContainer", { containerId: "one" }, { timeoutMs: 1234 });
  assert.equal(await client.waitProcess(process), 137);
  assert.deepEqual(seen, {
    createSandbox: 60_000,
    createContainer: 1234,
    waitProcess: undefined,
  });
});

test("a guest that does not answer costs the deadline, and the signal ends a wait", async (t) => {
  const client = clientOf(t, { startContainer: never, waitProcess: never });
  await assert.rejects(
    client.call("startContainer", { containerId: "one" }, { timeoutMs: 20 }),
    fails("CALL_TIMEOUT"),
  );
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 20);
  const waiting = client.waitProcess(process, { signal: controller.signal });
  await assert.rejects(waiting, fails("CALL_ABORTED"));
});

test("an exit status that no process has is refused", async (t) => {
  for (const status of [-1, 256, 2 ** 31 - 1]) {
    const client = clientOf(t, { waitProcess: () => ({ status }) });
    await assert.rejects(client.waitProcess(process), fails("AGENT_REPLY_INVALID", String(status)));
  }
});

test("more output than was asked for is refused", async (t) => {
  const client = clientOf(t, {
    readStdout: () => ({ data: Buffer.from("12345") }),
    readStderr: () => ({ data: Buffer.alloc(0) }),
  });
  const request = { ...process, maxBytes: 4 };
  await assert.rejects(client.readOutput("stdout", request), fails("AGENT_REPLY_INVALID"));
  const whole = await client.readOutput("stdout", { ...request, maxBytes: 5 });
  assert.equal(Buffer.from(whole).toString(), "12345");
  assert.equal((await client.readOutput("stderr", request)).length, 0);
});

test("an agent that claims to take more input than it got, or none for ever, is refused", async (t) => {
  for (const len of [4, 0]) {
    const client = clientOf(t, { writeStdin: () => ({ len }) });
    await assert.rejects(
      client.writeStdin(process, Buffer.from("abc")),
      fails("AGENT_REPLY_INVALID"),
    );
  }
  const client = clientOf(t, { writeStdin: () => ({ len: 2 }) });
  assert.equal(await client.writeStdin(process, Buffer.from("abc")), 2);
});

test("only an agent that says it serves is ready", async (t) => {
  const SERVING = 1;
  const NOT_SERVING = 2;
  await clientOf(t, {}, { check: () => ({ status: SERVING }) }).check();
  const starting = clientOf(t, {}, { check: () => ({ status: NOT_SERVING }) });
  await assert.rejects(starting.check(), fails("AGENT_REPLY_INVALID"));
});

test("the container that ran out of memory is named", async (t) => {
  const client = clientOf(t, { getOOMEvent: () => ({ containerId: "one" }) });
  assert.equal(await client.nextOutOfMemory(), "one");
});
