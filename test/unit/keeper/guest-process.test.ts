// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { test } from "node:test";
import { GuestProcess, type ProcessAgent } from "../../../src/keeper/process/guest-process.ts";
import type { ProcessDescriptors } from "../../../src/keeper/process/process-stdio.ts";
import { socketPair } from "../../../src/linux/descriptors.ts";

interface FakeAgent extends ProcessAgent {
  exit: (status: number | Error) => void;
  loseConnection: () => void;
  input: Buffer[];
  inputEnds: number;
}

/** An agent with one process, which prints `output` and ends when the test says so. */
function fakeAgent(output: Record<"stdout" | "stderr", string[]>): FakeAgent {
  let exit: FakeAgent["exit"] = () => {};
  let loseConnection = (): void => {};
  const exited = new Promise<number>((resolve, reject) => {
    exit = (status) => (status instanceof Error ? reject(status) : resolve(status));
  });
  exited.catch(() => {});
  const agent = {
    input: [] as Buffer[],
    inputEnds: 0,
    exit,
    loseConnection: () => loseConnection(),
    closed: new Promise<void>((resolve) => {
      loseConnection = resolve;
    }),
    waitProcess: (_: unknown, options: { signal?: AbortSignal } = {}) =>
      Promise.race([exited, aborted(options.signal)]),
    readOutput: async (name: "stdout" | "stderr") => Buffer.from(output[name].shift() ?? ""),
    writeStdin: async (_: unknown, data: Uint8Array) => {
      // A process that takes a few bytes at a time.
      const taken = Math.min(3, data.length);
      agent.input.push(Buffer.from(data.subarray(0, taken)));
      return taken;
    },
    call: async (name: string) => {
      if (name === "closeStdin") agent.inputEnds += 1;
      return {};
    },
  };
  return agent as unknown as FakeAgent;
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) =>
    signal?.addEventListener("abort", () => reject(new Error("given up"))),
  );
}

function start(agent: FakeAgent, descriptors: ProcessDescriptors) {
  const exits: number[] = [];
  const process = new GuestProcess({
    agent,
    address: { containerId: "c1", execId: "c1" },
    descriptors,
    onExit: ({ status }) => exits.push(status),
    drainLimits: { stallMs: 300, totalMs: 2000 },
  });
  return { process, exits };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries += 1) {
    assert.ok(tries < 500, "it did not happen within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function readAll(descriptor: number): Promise<string> {
  const chunks: Buffer[] = [];
  const socket = new Socket({ fd: descriptor, readable: true, writable: false });
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("the exit is told after all output was handed on", async () => {
  const [stdout, reader] = socketPair();
  const [stderr, errorReader] = socketPair();
  const agent = fakeAgent({ stdout: ["one ", "two"], stderr: ["oops"] });
  const { process, exits } = start(agent, { terminal: false, stdout, stderr });
  process.follow();
  agent.exit(7);
  const texts = await Promise.all([readAll(reader), readAll(errorReader)]);
  assert.deepEqual(texts, ["one two", "oops"]);
  await until(() => exits.length > 0);
  assert.deepEqual(exits, [7]);
});

test("without standard input the process reads an empty one", async () => {
  const agent = fakeAgent({ stdout: [], stderr: [] });
  const { process, exits } = start(agent, { terminal: false });
  process.follow();
  agent.exit(0);
  await until(() => exits.length > 0);
  assert.equal(agent.inputEnds, 1);
});

test("with a terminal standard error is not asked for, and input does not end by itself", async () => {
  const agent = fakeAgent({ stdout: ["$ "], stderr: [] });
  agent.readOutput = async (name) => {
    assert.equal(name, "stdout");
    return new Uint8Array();
  };
  const { process, exits } = start(agent, { terminal: true });
  process.follow();
  agent.exit(0);
  await until(() => exits.length > 0);
  assert.equal(agent.inputEnds, 0);
});

test("standard input is copied, and ends when the holder and the client have let go", async () => {
  const [descriptor, client] = socketPair();
  const [holderDescriptor, other] = socketPair();
  const agent = fakeAgent({ stdout: [], stderr: [] });
  const stdin = { descriptor, holderDescriptor };
  const { process, exits } = start(agent, { terminal: false, stdin });
  process.follow();
  writeSync(client, "hello world");
  await until(() => Buffer.concat(agent.input).toString() === "hello world");
  assert.equal(agent.inputEnds, 0);
  process.closeStdin();
  closeSync(client);
  await until(() => agent.inputEnds === 1);
  agent.exit(0);
  await until(() => exits.length > 0);
  closeSync(other);
});

test("closing an input that is not there is an error", () => {
  const { process } = start(fakeAgent({ stdout: [], stderr: [] }), { terminal: false });
  assert.throws(() => process.closeStdin(), { code: "STDIN_NOT_OPEN" });
});

test("when nobody can tell the exit status it is 255", async () => {
  const agent = fakeAgent({ stdout: [], stderr: [] });
  const { process, exits } = start(agent, { terminal: false });
  process.follow();
  agent.exit(new Error("no such process"));
  await until(() => exits.length > 0);
  assert.deepEqual(exits, [255]);
});

test("when the guest is lost no exit is made up, and streams are closed", async () => {
  const [stdout, reader] = socketPair();
  const agent = fakeAgent({ stdout: [], stderr: [] });
  const { process, exits } = start(agent, { terminal: false, stdout });
  process.follow();
  agent.loseConnection();
  agent.exit(new Error("connection closed"));
  assert.equal(await readAll(reader), "");
  await until(() => process.state === "exited");
  assert.deepEqual(exits, []);
});

test("a process that is removed before its start lets go of its descriptors", async () => {
  const [stdout, reader] = socketPair();
  const [descriptor, client] = socketPair();
  const [holderDescriptor, other] = socketPair();
  const stdin = { descriptor, holderDescriptor };
  const agent = fakeAgent({ stdout: [], stderr: [] });
  const { process } = start(agent, { terminal: false, stdin, stdout });
  process.dispose();
  assert.deepEqual(await Promise.all([reader, client, other].map(readAll)), ["", "", ""]);
});

test("a process that is removed while it runs tells nothing any more", async () => {
  const [stdout, reader] = socketPair();
  const agent = fakeAgent({ stdout: [], stderr: [] });
  const { process, exits } = start(agent, { terminal: false, stdout });
  process.follow();
  process.dispose();
  assert.equal(await readAll(reader), "");
  agent.exit(0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(exits, []);
});
