// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync } from "node:fs";
import { Socket } from "node:net";
import { test } from "node:test";
import { socketPair } from "../../../src/linux/descriptors.ts";
import type { MethodParams } from "../../../src/sandbox/messages/methods.ts";
import { type AgentAnswer, playAgent } from "../../support/fake-agent.ts";
import { FakeQemu } from "../../support/fake-qemu.ts";
import { type KeeperInHand, startKeeper } from "../../support/keeper-in-hand.ts";

const READY = { status: 1 };
const SILENT = { terminal: false, stdin: false, stdout: false, stderr: false };
const CONTAINER: MethodParams<"createContainer"> = {
  containerId: "c1",
  layers: [{ source: "05/01" }],
  stdio: SILENT,
  spec: { ociVersion: "1.0.2", process: { args: ["true"], cwd: "/" } },
};

async function booted(answer: AgentAnswer): Promise<KeeperInHand & { qemu: FakeQemu }> {
  const qemu = new FakeQemu();
  const keeper = startKeeper(qemu);
  playAgent(keeper.agent, (method, request) =>
    method === "Check" ? READY : answer(method, request),
  );
  await keeper.client.boot({ timeoutMs: 5000 });
  return { ...keeper, qemu };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries += 1) {
    assert.ok(tries < 500, "it did not happen within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("boot lets the machine run and waits for the agent, and says how long each step took", async () => {
  const { qemu, stop, client } = await booted(() => ({}));
  assert.deepEqual(qemu.commands, ["qmp_capabilities", "cont"]);
  await stop();
  assert.equal(qemu.commands.at(-1), "quit");
  assert.deepEqual(await client.closed, {});
});

test("a boot that fails says at which stage, with the console's last words", async () => {
  const qemu = new FakeQemu();
  const keeper = startKeeper(qemu);
  keeper.console.write("Kernel \u001b[31mpanic - not syncing\n");
  const booting = keeper.client.boot({ timeoutMs: 10_000 });
  setTimeout(() => qemu.hangUp(), 50);
  await assert.rejects(booting, {
    code: "GUEST_BOOT_FAILED",
    details: { stage: "agent", consoleTail: "Kernel ?[31mpanic - not syncing\n" },
  });
  assert.deepEqual(keeper.events, []);
  await keeper.stop();
});

test("an agent that never answers fails the boot in time", async () => {
  const keeper = startKeeper(new FakeQemu());
  await assert.rejects(keeper.client.boot({ timeoutMs: 100 }), {
    code: "GUEST_BOOT_FAILED",
    message: /\("agent"\).*in time/,
  });
  await keeper.stop();
});

const ENDS: Record<string, (keeper: KeeperInHand & { qemu: FakeQemu }) => void> = {
  "QEMU ends": ({ qemu }) => qemu.hangUp(),
  "QEMU lies": ({ qemu }) => qemu.say("garbage\n"),
  "the guest panics": ({ qemu }) => qemu.say('{"event": "GUEST_PANICKED", "data": {}}\n'),
  "the guest powers off": ({ qemu }) =>
    qemu.say('{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}\n'),
  "the agent hangs up": ({ agent }) => agent.hangUp(),
  "the agent sends a frame of 4 GiB": ({ agent }) =>
    agent.say(Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 2, 0])),
};
for (const [name, end] of Object.entries(ENDS)) {
  test(`when ${name}, the loss is told once, with the console's last words`, async () => {
    const keeper = await booted(() => ({}));
    keeper.console.write("last words\n");
    end(keeper);
    await until(() => keeper.events.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const [event, ...more] = keeper.events;
    assert.deepEqual(more, []);
    assert.ok(event?.event === "lost" && event.consoleTail === "last words\n");
    await keeper.stop();
  });
}

test("an end that was asked for is no loss", async () => {
  const keeper = await booted(() => ({}));
  await keeper.client.destroySandbox({ timeoutMs: 1000 });
  keeper.qemu.hangUp();
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.deepEqual(keeper.events, []);
  await keeper.stop();
});

test("preparing gives the guest randomness, the time, its name, and listens for want of memory", async () => {
  const calls = new Map<string, Record<string, unknown>>();
  const keeper = await booted((method, request) => {
    calls.set(method, request);
    // A guest that never stops, about a container that is not there.
    return method === "GetOOMEvent" ? { containerId: "stranger" } : {};
  });
  const before = BigInt(Math.floor(Date.now() / 1000));
  await keeper.client.prepareSandbox({ sandboxId: "p", hostname: "name", dns: ["nameserver ::1"] });
  const seed = calls.get("ReseedRandomDev")?.data as Uint8Array;
  assert.ok(seed.length >= 32 && new Set(seed).size > 10);
  assert.ok((calls.get("SetGuestDateTime")?.Sec as bigint) >= before);
  assert.equal(calls.get("CreateSandbox")?.hostname, "name");
  await until(() => calls.has("GetOOMEvent"));
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.deepEqual(keeper.events, []);
  await keeper.stop();
});

test("a clone is filled before it runs, and what fails there is the boot's failure", async () => {
  const qemu = new FakeQemu(({ execute }) =>
    execute === "query-migrate" ? { status: "completed" } : {},
  );
  const keeper = startKeeper(qemu);
  playAgent(keeper.agent, () => READY);
  const { stages } = await keeper.client.boot({ timeoutMs: 5000, isClone: true });
  assert.deepEqual(
    stages.map(({ name }) => name),
    ["vmm", "restore", "start", "agent"],
  );
  assert.ok(qemu.commands.indexOf("migrate-incoming") < qemu.commands.indexOf("cont"));
  await keeper.stop();
  const refusing = startKeeper(
    new FakeQemu(({ execute }) =>
      execute === "query-migrate" ? { status: "failed", "error-desc": "no such device" } : {},
    ),
  );
  await assert.rejects(refusing.client.boot({ timeoutMs: 5000, isClone: true }), {
    code: "GUEST_BOOT_FAILED",
    message: /"restore".*no such device/,
  });
  await refusing.stop();
});

test("a bay that cannot be filled is said, and the guest runs all the same", async () => {
  const qemu = new FakeQemu();
  const keeper = startKeeper(qemu);
  playAgent(keeper.agent, () => READY);
  const nothing = openSync("/dev/null", "r");
  // The QEMU that is played takes no descriptors.
  const bay = { diskId: "bay", readOnly: true };
  const booted = await keeper.client.boot({ timeoutMs: 5000, bay }, [nothing]);
  closeSync(nothing);
  await keeper.stop();
  assert.equal(booted.bay, undefined);
  assert.deepEqual(
    booted.stages.map(({ name }) => name),
    ["vmm", "bay", "start", "agent"],
  );
});

test("the clock is set again when the first try took long, ahead by half the way there and back", async () => {
  const told: { at: number; said: number }[] = [];
  const keeper = await booted((method, request) => {
    if (method === "GetOOMEvent") return undefined;
    if (method !== "SetGuestDateTime") return {};
    told.push({ at: Date.now(), said: Number(request.Sec) * 1000 + Number(request.Usec) / 1000 });
    if (told.length > 1) return {};
    return new Promise((resolve) => setTimeout(() => resolve({}), 120));
  });
  await keeper.client.prepareSandbox({ sandboxId: "p", hostname: "name", dns: [] });
  assert.ok(told.length >= 2, "it was set once only");
  const [first, second] = told.map(({ at, said }) => said - at);
  assert.ok((first ?? 1) <= 0 && (second ?? 0) > 30, `${first}, ${second}`);
  await keeper.stop();
});

test("a container is created, started, and its output and exit come back", async () => {
  const output = [Buffer.from("hello"), Buffer.alloc(0)];
  const keeper = await booted((method) => {
    if (method === "WaitProcess") return { status: 3 };
    return method === "ReadStdout" ? { data: output.shift() ?? Buffer.alloc(0) } : {};
  });
  const [stdout, reader] = socketPair();
  const stdio = { ...SILENT, stdout: true };
  await keeper.client.createContainer({ ...CONTAINER, stdio }, [stdout]);
  closeSync(stdout);
  await keeper.client.startContainer({ containerId: "c1" });
  const received: Buffer[] = [];
  for await (const chunk of new Socket({ fd: reader, readable: true, writable: false })) {
    received.push(chunk);
  }
  assert.equal(Buffer.concat(received).toString(), "hello");
  await until(() => keeper.events.length > 0);
  const [event] = keeper.events;
  assert.ok(event?.event === "exited" && event.containerId === "c1" && event.execId === "");
  assert.ok(event.status === 3 && Math.abs(event.at - Date.now()) < 10_000);
  await assert.rejects(keeper.client.startContainer({ containerId: "c1" }), {
    code: "PROCESS_STATE",
  });
  await keeper.stop();
});

test("an exec's id can be used again, under a name that is new to the agent", async () => {
  const names: unknown[] = [];
  const keeper = await booted((method, request) => {
    if (method === "ExecProcess") names.push(request.execId);
    return method === "WaitProcess" ? undefined : {};
  });
  await keeper.client.createContainer(CONTAINER);
  const exec = { containerId: "c1", execId: "e1", stdio: SILENT };
  for (let round = 0; round < 2; round += 1) {
    await keeper.client.exec({ ...exec, process: { args: ["id"], cwd: "/" } });
    await keeper.client.startExec({ containerId: "c1", execId: "e1" });
    await keeper.client.removeExec({ containerId: "c1", execId: "e1" });
  }
  assert.equal(new Set(names).size, 2);
  await keeper.stop();
});

test("the streams of an exec that the guest cannot start come to their end", async () => {
  const keeper = await booted((method) =>
    method === "ExecProcess" ? new Error("no such file") : {},
  );
  await keeper.client.createContainer(CONTAINER);
  const [stdout, reader] = socketPair();
  const exec = { containerId: "c1", execId: "e1", stdio: { ...SILENT, stdout: true } };
  await keeper.client.exec({ ...exec, process: { args: ["nothing"], cwd: "/" } }, [stdout]);
  closeSync(stdout);
  await assert.rejects(
    keeper.client.startExec({ containerId: "c1", execId: "e1" }),
    /no such file/,
  );
  const received: Buffer[] = [];
  for await (const chunk of new Socket({ fd: reader, readable: true, writable: false })) {
    received.push(chunk);
  }
  assert.deepEqual(received, []);
  await keeper.stop();
});

test("what the guest says about a failure is shown as its words, without terminal controls", async () => {
  const keeper = await booted((method) =>
    method === "CreateContainer" ? new Error("no \u001b]0;such\u0007 file") : {},
  );
  await assert.rejects(keeper.client.createContainer(CONTAINER), (error: Error) => {
    assert.match(error.message, /did not create the container: no .*such.* file/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it must not be there.
    assert.doesNotMatch(error.message, /[\u0000-\u0008\u000b-\u001f]/);
    return true;
  });
  // The failed one is forgotten.
  await assert.rejects(keeper.client.startContainer({ containerId: "c1" }), {
    code: "PROCESS_UNKNOWN",
  });
  await keeper.stop();
});

test("refused requests close the descriptors that came with them", async () => {
  const keeper = await booted(() => new Error("no"));
  const null1 = openSync("/dev/null", "w");
  const before = readdirSync("/proc/self/fd").length;
  const stdio = { ...SILENT, stdout: true };
  const refused = [
    keeper.client.createContainer({ ...CONTAINER, stdio }, [null1]),
    keeper.client.createContainer({ ...CONTAINER, stdio }, [null1, null1]),
    keeper.client.createContainer({ ...CONTAINER, containerId: "../c", stdio }, [null1]),
    keeper.client.attachDisk({ diskId: "d", readOnly: true }, [null1]),
    keeper.client.exec(
      { containerId: "none", execId: "e", stdio, process: { args: ["a"], cwd: "/" } },
      [null1],
    ),
  ];
  for (const result of await Promise.allSettled(refused)) assert.equal(result.status, "rejected");
  await until(() => readdirSync("/proc/self/fd").length <= before);
  closeSync(null1);
  await keeper.stop();
});

test("signals go to one process, or to all; one that is gone already is no failure", async () => {
  const targets: unknown[] = [];
  const keeper = await booted((method, request) => {
    if (method !== "SignalProcess") return method === "WaitProcess" ? undefined : {};
    targets.push(request.execId);
    return new Error("ESRCH: No such process");
  });
  await keeper.client.createContainer(CONTAINER);
  await keeper.client.signal({ containerId: "c1", signal: 15, all: false });
  await keeper.client.signal({ containerId: "c1", signal: 9, all: true });
  assert.deepEqual(targets, ["c1", ""]);
  await keeper.stop();
});

test("numbers that no machine can have are cut to what JSON keeps", async () => {
  const huge = 2n ** 64n - 1n;
  const keeper = await booted((method) =>
    method === "StatsContainer"
      ? { cgroupStats: { memoryStats: { usage: { limit: huge }, stats: { anon: 5n } } } }
      : {},
  );
  const { memory, pids } = await keeper.client.stats({ containerId: "c1" });
  assert.equal(memory.limitBytes, Number.MAX_SAFE_INTEGER);
  assert.equal(memory.anonymousBytes, 5);
  assert.equal(pids.current, 0);
  await keeper.stop();
});
