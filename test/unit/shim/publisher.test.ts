// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "../../../src/logging/logger.ts";
import { EventPublisher, EventRefused } from "../../../src/shim/events/publisher.ts";
import type { TaskEvent } from "../../../src/shim/events/task-events.ts";

const log = createLogger({ component: "test", sink: () => {} });

function event(topic: string, isEssential = false): TaskEvent {
  return { topic, typeUrl: "x", value: new Uint8Array(), at: new Date(), isEssential };
}

test("events arrive in order, one at a time, each until it was taken", async () => {
  const taken: string[] = [];
  let underWay = 0;
  let failures = 3;
  const publisher = new EventPublisher({
    log,
    firstPauseMs: 1,
    send: async ({ topic }) => {
      underWay += 1;
      assert.equal(underWay, 1);
      await new Promise((done) => setTimeout(done, 1));
      underWay -= 1;
      if (topic === "b" && failures-- > 0) throw new Error("containerd is away");
      taken.push(topic);
    },
  });
  for (const topic of ["a", "b", "c"]) publisher.publish(event(topic));
  assert.equal(await publisher.flush(5_000), true);
  publisher.publish(event("d"));
  assert.equal(await publisher.flush(5_000), true);
  assert.deepEqual(taken, ["a", "b", "c", "d"]);
});

test("while nobody takes them, what nobody waits for is dropped, and exits are kept", async () => {
  let isAway = true;
  const taken: string[] = [];
  const publisher = new EventPublisher({
    log,
    maxQueued: 3,
    firstPauseMs: 1,
    maxPauseMs: 5,
    send: async ({ topic }) => {
      if (isAway) throw new Error("away");
      taken.push(topic);
    },
  });
  for (const topic of ["first", "p1", "p2", "p3"]) publisher.publish(event(topic));
  for (const topic of ["x1", "x2", "x3", "x4"]) publisher.publish(event(topic, true));
  assert.equal(await publisher.flush(20), false, "a flush gives up in time");
  isAway = false;
  assert.equal(await publisher.flush(5_000), true);
  assert.deepEqual(taken, ["first", "x1", "x2", "x3", "x4"]);
});

test("an event that is refused each time is given up, and those behind it arrive", async () => {
  const lines: string[] = [];
  const taken: string[] = [];
  let tries = 0;
  const publisher = new EventPublisher({
    log: createLogger({ component: "test", sink: (line) => lines.push(line) }),
    firstPauseMs: 1,
    maxPauseMs: 1,
    send: async ({ topic }) => {
      if (topic === "bad") {
        tries += 1;
        throw new EventRefused(new Error("no such topic"));
      }
      taken.push(topic);
    },
  });
  for (const topic of ["bad", "exit"]) publisher.publish(event(topic, true));
  assert.equal(await publisher.flush(5_000), true);
  assert.deepEqual(taken, ["exit"]);
  assert.ok(tries > 1 && tries < 20, `${tries} tries`);
  assert.match(lines.join(), /"level":"error".*given up.*"topic":"bad"/);
});

test("a receiver that comes back after many failures still gets every event", async () => {
  const taken: string[] = [];
  let failures = 50;
  const publisher = new EventPublisher({
    log,
    firstPauseMs: 1,
    maxPauseMs: 1,
    send: async ({ topic }) => {
      if (failures-- > 0) throw new Error("connection refused");
      taken.push(topic);
    },
  });
  for (const topic of ["start", "exit"]) publisher.publish(event(topic, true));
  assert.equal(await publisher.flush(5_000), true);
  assert.deepEqual(taken, ["start", "exit"]);
});
