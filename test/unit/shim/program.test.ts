// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseShimArguments } from "../../../src/shim/arguments.ts";
import { IdleTimer } from "../../../src/shim/idle-timer.ts";
import { OwnSocket } from "../../../src/shim/own-socket.ts";
import { isAlive, listenOn } from "../../../src/shim/start/listen.ts";

const START = join(import.meta.dirname, "..", "..", "..", "src", "shim", "start.ts");
/** By its place: the program runs in a bundle, which has no modules. */
const TSX = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
/** Says what it was given, serves, and ends when its first client has left. */
const DAEMON = `
const fs = require("node:fs"), net = require("node:net");
const seen = { argv: process.argv.slice(2), env: Object.keys(process.env), pid: process.pid,
  streams: [0, 1, 2].map((fd) => fs.readlinkSync("/proc/self/fd/" + fd)),
  options: process.env.MUKON_SHIM_OPTIONS };
fs.writeFileSync(process.env.MUKON_SEEN, JSON.stringify(seen));
const server = net.createServer((socket) => socket.on("close", () => {
  if (fs.existsSync(process.env.MUKON_SEEN + ".end")) process.exit(0);
}).resume()).listen({ fd: 3 });
`;

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-start-"));
});
after(() => rmSync(directory, { recursive: true, force: true }));

interface Started {
  code: number | null;
  stdout: string;
  stderr: string;
}

async function start(
  id: string,
  options: { annotations?: object; input?: string } = {},
): Promise<Started> {
  const bundle = join(directory, id);
  mkdirSync(bundle, { recursive: true });
  writeFileSync(
    join(bundle, "config.json"),
    JSON.stringify({ annotations: options.annotations ?? {} }),
  );
  writeFileSync(join(directory, "shim-daemon.cjs"), DAEMON);
  const words = ["-namespace", "ns", "-address", "/c.sock", "-id", id, "start"];
  const child = spawn(process.execPath, ["--import", TSX, START, ...words], {
    cwd: bundle,
    env: {
      ...process.env,
      NODE_OPTIONS: "",
      SECRET: "x",
      MUKON_RUN_ROOT: join(directory, "run"),
      MUKON_PROGRAMS: directory,
      MUKON_SEEN: join(directory, "seen"),
    },
  });
  child.stdin.end(options.input ?? "");
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output.stderr += chunk.toString()));
  const code = await new Promise<number | null>((done) => child.once("close", done));
  return { code, ...output };
}

async function seen(): Promise<{
  argv: string[];
  env: string[];
  streams: string[];
  pid: number;
  options: string;
}> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (existsSync(join(directory, "seen"))) break;
    await sleep(25);
  }
  await sleep(25);
  return JSON.parse(readFileSync(join(directory, "seen"), "utf8"));
}

test("start prints the address alone, and leaves a daemon that holds nothing of its own", async () => {
  const first = await start("pod", { input: "options" });
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^unix:\/\/\/\S+\/run\/s\/[0-9a-f]{40}$/);
  assert.equal(readFileSync(join(directory, "pod", "address"), "utf8"), first.stdout);
  const path = first.stdout.replace("unix://", "");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const daemon = await seen();
  assert.deepEqual(daemon.streams, ["/dev/null", "/dev/null", "/dev/null"]);
  assert.ok(!daemon.env.includes("SECRET") && !daemon.env.includes("NODE_OPTIONS"));
  assert.equal(Buffer.from(daemon.options, "base64").toString(), "options");
  assert.equal(await isAlive(path), true);

  const again = await start("pod");
  assert.equal(again.stdout, first.stdout, "the same pod has the same shim");
  assert.equal((await seen()).pid, daemon.pid);

  const cri = "io.kubernetes.cri";
  const member = { [`${cri}.container-type`]: "container", [`${cri}.sandbox-id`]: "pod" };
  const joined = await start("member", { annotations: member });
  assert.equal(joined.stdout, first.stdout);
  assert.equal(readFileSync(join(directory, "member", "address"), "utf8"), first.stdout);

  writeFileSync(join(directory, "seen.end"), "");
  await isAlive(path);
  for (let attempt = 0; attempt < 100 && (await isAlive(path)); attempt++) await sleep(25);
  const late = await start("member", { annotations: member });
  assert.equal(late.code, 1);
  assert.match(late.stderr, /pod pod, whose shim is not running/);
  assert.equal(late.stdout, "");
});

test("of those who listen on one path at once, one gets it; a dead socket is replaced", async () => {
  const path = join(directory, "sockets", "one");
  const results = await Promise.all(Array.from({ length: 5 }, () => listenOn(path)));
  const winners = results.filter((result) => result !== undefined);
  assert.equal(winners.length, 1);
  assert.deepEqual(readdirSync(join(directory, "sockets")), ["one"], "no other names are left");

  const stale = join(directory, "sockets", "stale");
  const dead = createServer();
  await new Promise<void>((done) => dead.listen(`${stale}.bound`, done));
  linkSync(`${stale}.bound`, stale);
  await new Promise((done) => dead.close(done));
  assert.equal(await isAlive(stale), false);
  const next = await listenOn(stale);
  assert.ok(next !== undefined && (await isAlive(stale)));
  for (const { server } of [...winners, next]) server.close();
});

test("a shim's own socket is no longer its own when another one has its path", () => {
  const path = join(directory, "own");
  writeFileSync(path, "");
  const own = new OwnSocket(path);
  assert.equal(own.isThere, true);
  writeFileSync(`${path}.new`, "");
  rmSync(path);
  assert.equal(own.isThere, false);
  linkSync(`${path}.new`, path);
  own.remove();
  assert.ok(existsSync(path), "what is another's stays");
});

test("arguments are read as Go's flags are", () => {
  const words = ["--namespace=k8s.io", "-address", "/a", "-publish-binary", "", "-debug", "-id"];
  const parsed = parseShimArguments([...words, "x", "-bundle", "/b", "delete"]);
  const { verb, namespace, address, id, bundle, isDebug } = parsed;
  assert.deepEqual(
    { verb, namespace, address, id, bundle, isDebug },
    { verb: "delete", namespace: "k8s.io", address: "/a", id: "x", bundle: "/b", isDebug: true },
  );
  assert.equal(parseShimArguments(["-info"]).verb, "info");
  assert.equal(parseShimArguments(["-v"]).verb, "version");
  for (const wrong of [[], ["stop"], ["-x", "start"], ["-id"], ["start", "delete"]]) {
    assert.throws(() => parseShimArguments(wrong), { code: "SHIM_ARGUMENTS" });
  }
});

test("a shim ends when nobody is there and nothing is left, not before", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let isUnused = false;
  let ends = 0;
  const idle = new IdleTimer({
    firstMs: 100,
    laterMs: 10,
    isUnused: () => isUnused,
    onIdle: () => {
      ends += 1;
    },
  });
  const leave = idle.enter();
  t.mock.timers.tick(1_000);
  leave();
  t.mock.timers.tick(20);
  assert.equal(ends, 0, "a container is still there");
  isUnused = true;
  t.mock.timers.tick(10);
  assert.equal(ends, 1);
});

test("options that are too long are refused, not cut off, and no shim is left", async () => {
  const { code, stdout, stderr } = await start("long", { input: "x".repeat(70_000) });
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /70000 bytes.*ConfigPath/s);
});
