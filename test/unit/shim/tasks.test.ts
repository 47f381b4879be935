// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { mock, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { FakeShim } from "./fake-pod.ts";

const init = { id: "c1", execId: "" };
const exec = { id: "c1", execId: "e1" };
const hasCode = (code: string) => (error: unknown) =>
  error instanceof MukonError && error.code === code;

function inPod(type: string): Record<string, unknown> {
  const cri = "io.kubernetes.cri";
  return { annotations: { [`${cri}.container-type`]: type, [`${cri}.sandbox-id`]: "c1" } };
}

test("a container is created, started, waited for and deleted, and each step is told once", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  const waits = [shim.tasks.wait(init), shim.tasks.wait(init)];
  await shim.tasks.start(init);
  shim.tellExit(init, 7);
  shim.tellExit(init, 8);
  for (const exit of await Promise.all(waits)) assert.equal(exit.status, 7);
  assert.equal((await shim.tasks.wait(init)).status, 7, "also when it has ended already");
  assert.equal((await shim.tasks.delete(init)).exit.status, 7);
  assert.deepEqual(shim.events, [
    "/tasks/create",
    "/tasks/start",
    "/tasks/exit c1 7",
    "/tasks/delete",
  ]);
  assert.deepEqual(shim.methods(), [
    "attachDisk",
    "createContainer",
    "joinNetwork",
    "startContainer",
  ]);
  assert.ok(shim.destroyed > 0, "the pod ends with its only container");
  await assert.rejects(shim.tasks.wait(init), hasCode("TASK_NOT_FOUND"));
});

test("an exit that overtakes the answer to start is told after the start", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  shim.answers.set("startContainer", async () => shim.tellExit(init, 1));
  await shim.tasks.start(init);
  assert.deepEqual(shim.events.slice(1), ["/tasks/start", "/tasks/exit c1 1"]);
});

test("the end of a container is told after those of its execs, which are killed", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  await shim.tasks.start(init);
  await shim.exec("c1", "e1");
  await shim.tasks.start(exec);
  shim.tellExit(init, 0);
  assert.equal(shim.tasks.state(init).process.state, "running");
  const killed = shim.calls.find(({ method }) => method === "signal");
  assert.deepEqual(killed?.params, { containerId: "c1", execId: "e1", signal: 9, all: false });
  shim.tellExit(exec, 137);
  assert.deepEqual(shim.events.slice(4), ["/tasks/exit e1 137", "/tasks/exit c1 0"]);
});

test("an exec whose end is never told does not hold back that of its container", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  await shim.tasks.start(init);
  await shim.exec("c1", "e1");
  await shim.tasks.start(exec);
  shim.tellExit(init, 3);
  mock.timers.tick(10_000);
  assert.deepEqual(shim.events.slice(4), ["/tasks/exit e1 137", "/tasks/exit c1 3"]);
});

test("when the pod is lost everything has ended with 255, execs first", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1", inPod("sandbox"));
  await shim.tasks.start(init);
  await shim.create("m1", inPod("container"));
  await shim.tasks.start({ id: "m1", execId: "" });
  await shim.exec("m1", "e1");
  await shim.tasks.start({ id: "m1", execId: "e1" });
  const before = shim.events.length;
  shim.lose(new MukonError("POD_ENDED", "gone"));
  assert.equal((await shim.tasks.wait(init)).status, 255);
  assert.deepEqual(shim.events.slice(before), [
    "/tasks/exit e1 255",
    "/tasks/exit m1 255",
    "/tasks/exit c1 255",
  ]);
  assert.ok(shim.destroyed > 0);
  shim.tellExit(init, 0);
  assert.equal(shim.events.length, before + 3, "what comes later changes nothing");
  await assert.rejects(shim.create("m2", inPod("container")), hasCode("POD_NOT_RUNNING"));
});

test("what cannot be started as the pod is lost says so", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  shim.lose(new MukonError("POD_ENDED", "gone"));
  assert.equal((await shim.tasks.wait(init)).status, 255);
  await assert.rejects(shim.tasks.start(init), hasCode("POD_ENDED"));
  await assert.rejects(shim.exec("c1", "e1"), hasCode("POD_ENDED"));
});

test("the end of a pod's sandbox ends its other containers; that of another one does not", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1", inPod("sandbox"));
  await shim.tasks.start(init);
  for (const id of ["m1", "m2"]) {
    await shim.create(id, inPod("container"));
    await shim.tasks.start({ id, execId: "" });
  }
  shim.tellExit({ id: "m1", execId: "" }, 0);
  await shim.tasks.delete({ id: "m1", execId: "" });
  assert.equal(shim.destroyed, 0);
  assert.deepEqual(shim.methods().slice(-2), ["removeContainer", "detachDisk"]);
  shim.tellExit(init, 137);
  assert.deepEqual(shim.events.slice(-2), ["/tasks/exit c1 137", "/tasks/exit m2 137"]);
  assert.ok(shim.destroyed > 0);
});

test("OOM is told before the exit that it caused", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  await shim.tasks.start(init);
  shim.tell({ event: "oom", containerId: "c1" });
  shim.tell({ event: "oom", containerId: "unknown" });
  shim.tellExit(init, 137);
  assert.deepEqual(shim.events.slice(2), ["/tasks/oom", "/tasks/exit c1 137"]);
});

test("kill: by state, by what the guest says, and by force when the guest does nothing", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  await shim.tasks.start(init);
  await shim.exec("c1", "e1");
  await assert.rejects(shim.tasks.kill(exec, 9, false), hasCode("TASK_STATE"));
  await assert.rejects(
    shim.tasks.kill({ id: "c1", execId: "none" }, 9, false),
    hasCode("TASK_NOT_FOUND"),
  );
  shim.answers.set("signal", () =>
    Promise.reject(new MukonError("GUEST_CALL_FAILED", "no", { details: { agentStatus: 5 } })),
  );
  await assert.rejects(shim.tasks.kill(init, 15, false), hasCode("TASK_NOT_FOUND"));
  shim.answers.delete("signal");
  await shim.tasks.kill(init, 9, true);
  assert.equal(shim.tasks.state(init).process.state, "running");
  mock.timers.tick(10_000);
  assert.equal((await shim.tasks.wait(init)).status, 137);
  assert.ok(shim.destroyed > 0, "the VM is ended instead");
});

test("a killed container whose end the guest never tells has ended, and its pod goes on", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1", inPod("sandbox"));
  await shim.tasks.start(init);
  await shim.create("c2", inPod("container"));
  const second = { id: "c2", execId: "" };
  await shim.tasks.start(second);
  await shim.tasks.kill(second, 9, false);
  mock.timers.tick(29_000);
  assert.equal(shim.tasks.state(second).process.state, "running");
  mock.timers.tick(1_000);
  assert.equal((await shim.tasks.wait(second)).status, 137);
  shim.tellExit(second, 3);
  assert.deepEqual(shim.events.slice(4), ["/tasks/exit c2 137"], "once");
  assert.equal(shim.tasks.state(init).process.state, "running");
  assert.equal(shim.destroyed, 0);
  await shim.tasks.delete(second);
});

test("who asks again while a container is being deleted waits for it; nothing is done twice", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1", inPod("sandbox"));
  await shim.create("c2", inPod("container"));
  const second = { id: "c2", execId: "" };
  let removed = () => {};
  const removing = new Promise<void>((done) => {
    removed = done;
  });
  shim.answers.set("removeContainer", () => removing);
  const deletions = [shim.tasks.delete(second), shim.tasks.delete(second)];
  await setImmediate();
  assert.deepEqual(
    shim.methods().filter((name) => name === "removeContainer"),
    ["removeContainer"],
  );
  assert.equal(shim.tasks.state(second).process.state, "stopped", "it is there until it has gone");
  removed();
  await Promise.all(deletions);
  assert.equal(shim.events.filter((event) => event === "/tasks/delete").length, 1);
  await assert.rejects(shim.tasks.delete(second), hasCode("TASK_NOT_FOUND"));
});

test("a container that is killed before its start has ended, and can be deleted", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  await shim.tasks.kill(init, 9, false);
  assert.equal((await shim.tasks.wait(init)).status, 137);
  await shim.tasks.delete(init);
  assert.deepEqual(shim.events, ["/tasks/create", "/tasks/exit c1 137", "/tasks/delete"]);
});

test("a start that fails can be followed by delete, and by nothing that needs it to run", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  shim.answers.set("startContainer", () =>
    Promise.reject(new MukonError("GUEST_CALL_FAILED", "no such program")),
  );
  await assert.rejects(shim.tasks.start(init), /no such program/);
  await assert.rejects(shim.tasks.pause("c1"), hasCode("TASK_STATE"));
  await shim.tasks.delete(init);
  await assert.rejects(shim.tasks.start(init), hasCode("TASK_NOT_FOUND"));
});

test("an id is taken from the moment it is asked for; what fails gives it back", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  let boot = (): void => {};
  shim.answers.set("createPod", () => new Promise((done) => (boot = () => done({}))));
  const first = shim.create("c1");
  await assert.rejects(shim.create("c1"), hasCode("TASK_EXISTS"));
  shim.answers.set("createContainer", () => Promise.reject(new MukonError("X", "guest says no")));
  boot();
  await assert.rejects(first, /guest says no/);
  assert.equal(shim.destroyed, 1, "the pod of a container that failed is not kept");
  shim.answers.clear();
  await shim.create("c1");
  await assert.rejects(shim.create("c2"), hasCode("TASK_EXISTS"), "one pod for each shim");
});

test("input that ends while the VM boots has ended for the container too", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  const fifo = join(shim.directory, "stdin");
  execFileSync("mkfifo", [fifo]);
  let boot = (): void => {};
  shim.answers.set("createPod", () => new Promise((done) => (boot = () => done({}))));
  const created = shim.create("c1", {}, fifo);
  await shim.tasks.closeInput(init);
  boot();
  await created;
  assert.deepEqual(shim.methods(), ["attachDisk", "createContainer", "closeStdin"]);
  assert.equal(shim.calls[1]?.descriptors, 2, "the FIFO and the writer that holds it open");
});

test("nothing is asked of the guest for streams that are not there, or not any more", async (t) => {
  const shim = new FakeShim();
  t.after(() => shim.close());
  await shim.create("c1");
  await shim.tasks.start(init);
  const before = shim.calls.length;
  await shim.tasks.closeInput(init);
  await shim.tasks.resize(init, { width: 80, height: 24 });
  shim.tellExit(init, 0);
  await shim.tasks.closeInput(init);
  await assert.rejects(shim.tasks.stats("c1"), hasCode("TASK_NOT_FOUND"));
  await assert.rejects(shim.exec("c1", "late"), hasCode("TASK_STATE"));
  assert.equal(shim.calls.length, before);
});
