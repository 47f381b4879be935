// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { runDaemon } from "../../../src/node-install/daemon.ts";
import { KubernetesApi } from "../../../src/node-install/kubernetes-api.ts";
import { fails } from "../config/helpers.ts";
import { MAIN, Node } from "./node.ts";

interface Call {
  what: string;
  body: string;
  authorization: string | undefined;
}

/** An API server that answers about the DaemonSet as given, and takes every label. */
async function fakeApi(t: TestContext, answer: { status: number; body?: unknown }) {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      const { authorization } = request.headers;
      calls.push({ what: `${request.method} ${request.url}`, body, authorization });
      const isLabel = request.method === "PATCH";
      response.statusCode = isLabel ? 200 : answer.status;
      response.end(JSON.stringify(isLabel ? {} : (answer.body ?? {})));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { calls, url: `http://127.0.0.1:${port}` };
}

async function runOn(node: Node, url: string): Promise<() => Promise<void>> {
  node.write("/account/token", "secret\n");
  const readyFile = join(node.directory, "ready");
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const running = runDaemon({
    host: node.host,
    payload: node.payload,
    handlers: ["mukon"],
    say: (line) => node.said.push(line),
    api: new KubernetesApi({ url, account: join(node.directory, "account") }),
    node: "worker-1",
    daemonSet: { namespace: "kube-system", name: "mukon" },
    readyFile,
    waitMs: 0,
    ended,
  });
  running.catch(() => {});
  while (!existsSync(readyFile)) {
    const state = await Promise.race([
      running.then(() => "done"),
      new Promise((r) => setTimeout(r, 10)),
    ]);
    assert.equal(state, undefined, node.said.join("\n"));
  }
  return async () => {
    end();
    await running;
  };
}

const DAEMON_SET = "GET /apis/apps/v1/namespaces/kube-system/daemonsets/mukon";
const LABEL = "PATCH /api/v1/nodes/worker-1";

test("the node is labelled when all is in place, and all is undone when the DaemonSet is gone", async (t) => {
  const api = await fakeApi(t, { status: 404 });
  const node = new Node(t);
  const end = await runOn(node, api.url);
  assert.deepEqual(api.calls, [
    {
      what: LABEL,
      body: '{"metadata":{"labels":{"mukon.dev/runtime":"true"}}}',
      authorization: "Bearer secret",
    },
  ]);
  await end();
  assert.deepEqual(
    api.calls.slice(1).map(({ what, body }) => [what, body]),
    [
      [DAEMON_SET, ""],
      [LABEL, '{"metadata":{"labels":{"mukon.dev/runtime":null}}}'],
    ],
  );
  assert.doesNotMatch(node.read(MAIN), /mukon/);
  assert.ok(!node.host.exists("/opt/mukon"));
});

test("a DaemonSet that is being deleted counts as gone", async (t) => {
  const api = await fakeApi(t, { status: 200, body: { metadata: { deletionTimestamp: "now" } } });
  const node = new Node(t);
  await (await runOn(node, api.url))();
  assert.ok(!node.host.exists("/opt/mukon"));
});

for (const [what, answer] of Object.entries({
  "the DaemonSet is there, as in a rolling update": { status: 200, body: { metadata: {} } },
  "nobody may say whether it is there": { status: 403 },
})) {
  test(`all stays in place when ${what}`, async (t) => {
    const api = await fakeApi(t, answer);
    const node = new Node(t);
    await (await runOn(node, api.url))();
    assert.equal(api.calls.filter(({ what: call }) => call === LABEL).length, 1);
    assert.match(node.read(MAIN), /mukon/);
    assert.ok(node.host.exists("/opt/mukon/current"));
  });
}

test("pods that still run keep mukon on the node, but no new one comes", async (t) => {
  const api = await fakeApi(t, { status: 404 });
  const node = new Node(t);
  const end = await runOn(node, api.url);
  node.write("/run/mukon/sandboxes/k8s.io..web/state.json", "{}");
  await assert.rejects(end(), fails("INSTALL_IN_USE", "k8s.io..web"));
  assert.match(api.calls.at(-1)?.body ?? "", /null/);
  assert.match(node.read(MAIN), /mukon/);
});

test("an API that cannot be reached is an error which names the rights", async (t) => {
  const node = new Node(t);
  await assert.rejects(runOn(node, "http://127.0.0.1:1"));
  node.write("/account/token", "secret\n");
  const api = new KubernetesApi({
    url: "http://127.0.0.1:1",
    account: join(node.directory, "account"),
  });
  await assert.rejects(
    api.labelNode("x", true),
    fails("INSTALL_API_FAILED", "PATCH /api/v1/nodes/x"),
  );
});
