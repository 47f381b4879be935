// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { podEnded } from "../../../src/sandbox/loss.ts";
import { MAX_EVENTS_PER_SECOND } from "../../../src/sandbox/messages/limits.ts";
import { fakePair } from "./fake-keeper.ts";

const EXITED = { event: "exited", containerId: "c1", execId: "", status: 0, at: 1_795_000_000_000 };

test("a request goes out with its parameters and brings its result back", async () => {
  const { client, fake } = fakePair(({ id }) => ({ id, result: { source: "05/01" } }));
  assert.deepEqual(await client.attachDisk({ diskId: "layer0", readOnly: true }), {
    source: "05/01",
  });
  assert.equal(fake.requests[0]?.method, "attachDisk");
  assert.deepEqual(fake.requests[0]?.params, { diskId: "layer0", readOnly: true });
});

test("descriptors are handed over before their request, under its number", async () => {
  const { client, fake, sent } = fakePair(({ id, method }) => ({
    id,
    result: method === "attachDisk" ? { source: "05/01" } : {},
  }));
  await Promise.all([
    client.attachDisk({ diskId: "a", readOnly: true }, [10]),
    client.pause({ containerId: "c" }),
    client.attachDisk({ diskId: "b", readOnly: true }, [11]),
  ]);
  assert.deepEqual(
    fake.requests.map(({ descriptors }) => descriptors),
    [1, 0, 1],
  );
  assert.deepEqual(sent, [
    { payload: Buffer.from([0, 0, 0, 1, 0]), fds: [10] },
    { payload: Buffer.from([0, 0, 0, 3, 2]), fds: [11] },
  ]);
});

test("the keeper's failure comes back as the error that it was", async () => {
  const error = {
    code: "GUEST_BOOT_FAILED",
    message: "The guest did not come up.",
    hint: "Look at the console.",
    details: { stage: "agent", consoleTail: "panic\n" },
  };
  const { client } = fakePair(({ id }) => ({ id, error }));
  await assert.rejects(client.boot({ timeoutMs: 1000 }), error);
});

test("events reach the listener", async () => {
  const { fake, events, client } = fakePair();
  fake.say(EXITED);
  fake.say({ event: "lost", reason: "gone", consoleTail: "last words\n" });
  await client.pause({ containerId: "c" });
  assert.deepEqual(
    events.map(({ event }) => event),
    ["exited", "lost"],
  );
});

test("a keeper that is silent is given up after the request's own time", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { client } = fakePair(() => undefined);
  const waiting = assert.rejects(client.boot({ timeoutMs: 1000 }), { code: "KEEPER_TIMEOUT" });
  context.mock.timers.tick(11_001);
  await waiting;
});

test("when the keeper ends, all that wait fail, and closed says that nothing was wrong", async () => {
  const { client, fake } = fakePair(() => undefined);
  const waiting = assert.rejects(client.pause({ containerId: "c" }), { code: "KEEPER_CLOSED" });
  fake.hangUp();
  await waiting;
  assert.deepEqual(await client.closed, {});
  await assert.rejects(client.pause({ containerId: "c" }), { code: "KEEPER_CLOSED" });
});

test("when its pod is over, all that wait are told why", async () => {
  const { client } = fakePair(() => undefined);
  const waiting = assert.rejects(client.pause({ containerId: "c" }), { code: "POD_ENDED" });
  client.close(podEnded("its VMM ended"));
  await waiting;
  await assert.rejects(client.pause({ containerId: "c" }), { code: "POD_ENDED" });
});

test("requests beyond what a keeper may owe are refused at once", async () => {
  const { client } = fakePair(() => undefined);
  const waiting = Array.from({ length: 256 }, () => client.pause({ containerId: "c" }));
  const settled = Promise.allSettled(waiting);
  await assert.rejects(client.pause({ containerId: "c" }), { code: "KEEPER_BUSY" });
  client.close();
  await settled;
});

const LIES: Record<string, unknown> = {
  "no JSON": "what?\n",
  "a line without an end": "x".repeat(128 * 1024),
  "an unknown event": { event: "reboot" },
  "an event with more in it": { ...EXITED, command: "rm" },
  "an exit status that is none": { ...EXITED, status: 256 },
  "a container id that is a path": { ...EXITED, containerId: "../../etc" },
  "terminal controls": { event: "lost", reason: "\u001b]0;owned\u0007", consoleTail: "" },
  "a console tail that is too long": {
    event: "lost",
    reason: "",
    consoleTail: "x".repeat(9000),
  },
  "an answer to no request": { id: 77, result: {} },
  "an error code in lower case": { id: 1, error: { code: "oops", message: "" } },
};
for (const [name, message] of Object.entries(LIES)) {
  test(`a keeper that sends ${name} is cut off`, async () => {
    const { client, fake, events } = fakePair(() => undefined);
    const waiting = assert.rejects(client.pause({ containerId: "c" }), { code: "KEEPER_PROTOCOL" });
    await new Promise(setImmediate);
    fake.say(message);
    assert.equal((await client.closed).violation?.code, "KEEPER_PROTOCOL");
    await waiting;
    assert.ok(fake.destroyed);
    assert.deepEqual(events, []);
  });
}

test("a result of another shape cuts the keeper off", async () => {
  const { client } = fakePair(({ id }) => ({ id, result: { source: "/dev/sda" } }));
  await assert.rejects(client.attachDisk({ diskId: "a", readOnly: true }), {
    code: "KEEPER_PROTOCOL",
  });
  assert.ok((await client.closed).violation);
});

test("a keeper that floods is cut off", async () => {
  const { client, fake, events } = fakePair();
  for (let count = 0; count <= MAX_EVENTS_PER_SECOND; count += 1) fake.say(EXITED);
  assert.match((await client.closed).violation?.message ?? "", /over 200 events/);
  assert.equal(events.length, MAX_EVENTS_PER_SECOND);
});
