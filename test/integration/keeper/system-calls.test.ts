// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { filteredKeeper } from "../../support/filtered-keeper.ts";

const skip = process.getuid?.() === 0 ? false : "needs root: it changes user ids";
const KEEPER_ID = 1_879_113_733;
const KOFFI = new URL("../../../dist/koffi.node", import.meta.url);

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-calls-"));
  chmodSync(directory, 0o777);
  cpSync(KOFFI, join(directory, "koffi.node"));
});
after(() => rmSync(directory, { recursive: true }));

/** Runs a program behind the keeper's filter; what it prints is JSON. */
function runFiltered(source: string): { result: unknown; signal: NodeJS.Signals | null } {
  const path = join(directory, "program.cjs");
  writeFileSync(path, filteredKeeper(source));
  const { stdout, stderr, signal } = spawnSync(process.execPath, [path], {
    ...{ uid: KEEPER_ID, gid: KEEPER_ID, env: {}, cwd: directory },
    encoding: "utf8",
  });
  assert.ok(stdout !== "" || signal !== null, stderr);
  return { result: stdout === "" ? undefined : JSON.parse(stdout), signal };
}

test("what Node does for a keeper works behind its filter, on all of its threads", { skip }, () => {
  const { result } = runFiltered(`
    import { readFileSync, readdirSync, promises } from "node:fs";
    import { randomBytes, scrypt } from "node:crypto";
    import { Worker } from "node:worker_threads";
    import { gzip } from "node:zlib";
    import { promisify } from "node:util";
    void (async () => {
      const key = await promisify(scrypt)("a", "b", 32);
      const packed = await promisify(gzip)(Buffer.alloc(1e6));
      const text = await promises.readFile(__filename, "utf8");
      const answer = await new Promise((done) =>
        new Worker("require('node:worker_threads').parentPort.postMessage(7)", { eval: true })
          .once("message", done));
      await new Promise((done) => setTimeout(done, 5));
      for (let at = 0, all = []; at < 50; at++) all.push(new Array(1e5).fill({ at }));
      const modes = ["1", "2", "3"].map(() => randomBytes(8).length);
      const status = readFileSync("/proc/self/status", "utf8");
      console.log(JSON.stringify([key.length, packed.length > 0, text.length > 0, answer, modes,
        /Seccomp:\\s+(\\d)/.exec(status)[1], /NoNewPrivs:\\s+(\\d)/.exec(status)[1]]));
      process.exit(0);
    })();`);
  assert.deepEqual(result, [32, true, true, 7, [8, 8, 8], "2", "1"]);
});

test("a captured keeper can run nothing, connect to nothing, and write no file", { skip }, () => {
  const { result } = runFiltered(`
    import { spawnSync } from "node:child_process";
    import { connect, createServer } from "node:net";
    import { createSocket } from "node:dgram";
    import { openSync, writeFileSync, mkdirSync, symlinkSync, chmodSync, unlinkSync } from "node:fs";
    const codeOf = (work) => { try { return work() ?? "done"; } catch (error) { return error.code; } };
    const eventOf = (socket) => new Promise((done) => socket
      .once("error", (error) => done(error.code)).once("connect", () => done("connected"))
      .once("listening", () => done("listening")));
    void (async () => {
      console.log(JSON.stringify([
        codeOf(() => spawnSync("/bin/true").error?.code),
        await eventOf(connect(9, "127.0.0.1")),
        await eventOf(connect("/run/nothing")),
        await eventOf(createServer().listen("x.sock")),
        codeOf(() => writeFileSync("new", "x")),
        codeOf(() => openSync(__filename, "r+")),
        codeOf(() => mkdirSync("directory")),
        codeOf(() => symlinkSync("a", "b")),
        codeOf(() => chmodSync(__filename, 0)),
        codeOf(() => unlinkSync(__filename)),
        codeOf(() => process.kill(process.ppid, 0)),
      ]));
      process.exit(0);
    })();`);
  assert.deepEqual(result, Array(11).fill("EPERM"));
});

for (const [name, declaration, args] of [
  ["unshare", "int unshare(int flags)", [0x1000_0000]],
  ["execve", "int execve(const char *path, void *argv, void *envp)", ["/bin/true", null, null]],
  ["ptrace", "long ptrace(int request, int pid, void *a, void *b)", [0, 0, null, null]],
  ["setuid", "int setuid(unsigned int uid)", [0]],
] as const) {
  test(`a captured keeper that calls ${name} is killed`, { skip }, () => {
    const { signal } = runFiltered(`
      import { systemCall } from "./src/linux/system-call.ts";
      try { systemCall(${JSON.stringify(declaration)})(...${JSON.stringify(args)}); } catch {}
      console.log('"it lives"');`);
    assert.equal(signal, "SIGSYS");
  });
}
