// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { QmpClient } from "../../../src/vmm/qemu/qmp/client.ts";
import { FakeQemu } from "../../support/fake-qemu.ts";

const NO_SOCKET = -1;

async function connected(
  answer?: ConstructorParameters<typeof FakeQemu>[0],
): Promise<{ qemu: FakeQemu; qmp: QmpClient }> {
  const qemu = new FakeQemu(answer);
  const qmp = new QmpClient(qemu, NO_SOCKET);
  await qmp.handshake();
  return { qemu, qmp };
}

test("the handshake tells QEMU's version and enters command mode", async () => {
  const qemu = new FakeQemu();
  const qmp = new QmpClient(qemu, NO_SOCKET);
  assert.deepEqual(await qmp.handshake(), { major: 7, minor: 2, micro: 22 });
  assert.deepEqual(qemu.commands, ["qmp_capabilities"]);
});

test("commands go one after the other, and get their own answers", async () => {
  const { qemu, qmp } = await connected(({ arguments: { value } }) => value ?? {});
  const answers = await Promise.all([1, 2, 3].map((value) => qmp.execute("echo", { value })));
  assert.deepEqual(answers, [1, 2, 3]);
  assert.equal(qemu.commands.length, 4);
});

test("a refusal carries QEMU's reason and does not hold up the next command", async () => {
  const { qmp } = await connected(({ execute }) =>
    execute === "bad" ? new Error("no such thing") : {},
  );
  await assert.rejects(qmp.execute("bad"), {
    code: "QMP_COMMAND_FAILED",
    message: /no such thing/,
  });
  assert.deepEqual(await qmp.execute("good"), {});
});

test("silence ends with a deadline; a late answer is not taken for the next one's", async () => {
  let late = "";
  const { qemu, qmp } = await connected(({ execute, id }) => {
    if (execute !== "slow") return { fine: true };
    late = `{"return": {"late": true}, "id": ${id}}\n`;
    return undefined;
  });
  await assert.rejects(qmp.execute("slow", {}, { timeoutMs: 20 }), { code: "QMP_TIMEOUT" });
  qemu.say(late);
  assert.deepEqual(await qmp.execute("quick"), { fine: true });
});

test("events reach their listeners, and none after they have left", async () => {
  const { qemu, qmp } = await connected();
  const seen: string[] = [];
  const stop = qmp.onEvent(({ name, data }) => seen.push(`${name} ${JSON.stringify(data)}`));
  qemu.say('{"event": "SHUTDOWN", "data": {"guest": true}, "timestamp": {}}\n{"event": "RESET"}\n');
  await qmp.execute("query-status");
  stop();
  qemu.say('{"event": "STOP"}\n');
  await qmp.execute("query-status");
  assert.deepEqual(seen, ['SHUTDOWN {"guest":true}', "RESET {}"]);
});

test("when QEMU ends, all that wait fail, and so does all that comes later", async () => {
  const { qemu, qmp } = await connected(({ execute }) =>
    execute === "qmp_capabilities" ? {} : undefined,
  );
  const waiting = assert.rejects(qmp.execute("query-status"), { code: "QMP_CLOSED" });
  qemu.hangUp();
  await waiting;
  assert.equal((await qmp.closed).code, "QMP_CLOSED");
  await assert.rejects(qmp.execute("query-status"), { code: "QMP_CLOSED" });
});

const LIES: Record<string, string | Buffer> = {
  "no JSON": "hello\n",
  "no object": "[1,2]\n",
  "a line without an end": Buffer.alloc(2 * 1024 * 1024, 0x20),
  "no UTF-8": Buffer.from([0x22, 0xff, 0xfe, 0x22, 0x0a]),
  "an answer without a number": '{"return": {}}\n',
  "a complaint about no command": '{"error": {"class": "GenericError", "desc": "what?"}}\n',
};
for (const [name, bytes] of Object.entries(LIES)) {
  test(`a QEMU that sends ${name} is cut off`, async () => {
    const { qemu, qmp } = await connected();
    qemu.say(bytes);
    assert.equal((await qmp.closed).code, "QMP_PROTOCOL");
    assert.ok(qemu.destroyed);
    await assert.rejects(qmp.execute("query-status"), { code: "QMP_PROTOCOL" });
  });
}

test("a QEMU that does not greet as QEMU does is cut off", async () => {
  const qmp = new QmpClient(new FakeQemu(() => ({}), '{"return": {}}\n'), NO_SOCKET);
  assert.equal((await qmp.closed).code, "QMP_PROTOCOL");
});

test("a QEMU that never greets fails the handshake in time", async () => {
  const qmp = new QmpClient(new FakeQemu(() => ({}), ""), NO_SOCKET);
  await assert.rejects(qmp.handshake({ timeoutMs: 20 }), { code: "QMP_TIMEOUT" });
});
