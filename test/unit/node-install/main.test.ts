// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MAIN, Node } from "./node.ts";

const PROGRAM = join(import.meta.dirname, "../../../src/node-install/main.ts");

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, output }));
  return { child, ended, output: () => output };
}

for (const [what, args, says] of [
  ["no command", [], /INSTALL_USAGE/],
  ["two commands", ["install", "uninstall"], /INSTALL_USAGE/],
  ["an option that is not known", ["install", "--rot", "/x"], /--rot.*INSTALL_USAGE/s],
  ["a handler that cannot be one", ["install", "--handlers", 'a"]'], /--handlers.*INSTALL_USAGE/],
  ["a flavour that is not known", ["install", "--flavour", "k4s"], /k4s.*containerd, k3s, rke2/],
  ["a pod without its environment", ["run"], /KUBERNETES_SERVICE_HOST.*daemonset\.yaml/],
] as const) {
  test(`${what} is an error that says what would be right`, async () => {
    const { code, output } = await start(args).ended;
    assert.equal(code, 1);
    assert.match(output, says);
  });
}

test("run installs, waits, and undoes it all at SIGTERM when the DaemonSet is gone", async (t) => {
  const node = new Node(t);
  node.write("/account/token", "secret");
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    request.on("data", (chunk) => bodies.push(String(chunk)));
    request.on("end", () => {
      response.statusCode = request.method === "PATCH" ? 200 : 404;
      response.end("{}");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const ready = join(node.directory, "run/ready");
  const common = ["--root", node.directory, "--payload", node.payload, "--no-restart"];
  const daemon = start(["run", ...common, "--ready-file", ready], {
    KUBERNETES_API: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    SERVICE_ACCOUNT_DIRECTORY: join(node.directory, "account"),
    ...{ NODE_NAME: "worker-1", NAMESPACE: "kube-system", DAEMONSET_NAME: "mukon-node-install" },
  });
  while (!existsSync(ready)) {
    assert.equal(daemon.child.exitCode, null, daemon.output());
    await sleep(20);
  }
  assert.match(node.read(MAIN), /mukon/);
  daemon.child.kill("SIGTERM");
  const { code, output } = await daemon.ended;
  assert.equal(code, 0, output);
  assert.doesNotMatch(node.read(MAIN), /mukon/);
  assert.deepEqual(
    bodies.map((body) => /"true"|null/.exec(body)?.[0]),
    ['"true"', "null"],
  );
});
