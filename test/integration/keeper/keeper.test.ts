// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { openGuest } from "../../../guest/image/open.ts";
import { socketPair } from "../../../src/linux/descriptors.ts";
import { run } from "../../../src/linux/run.ts";
import { whyNoGuest } from "../guest/skip.ts";
import { type PodInHand, startPod } from "./pod-in-hand.ts";

const skip = await whyNoGuest();
const directory = mkdtempSync(join(tmpdir(), "mukon-keeper-"));
const SILENT = { terminal: false, stdin: false, stdout: false, stderr: false };
const SHELL = ["/bin/sh", "-c"];
let pod: PodInHand;

before(async () => {
  if (skip !== undefined) return;
  // Readable for the keeper's user, wherever this tree lies.
  chmodSync(directory, 0o755);
  const keeperProgram = join(directory, "keeper.cjs");
  await build({
    entryPoints: ["src/keeper/main.ts"],
    outfile: keeperProgram,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    external: ["*.node"],
    define: { "import.meta.url": "bundleUrl" },
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  });
  await run(["install", "-m", "644", nativeKoffi(), join(directory, "koffi.node")]);
  const guest = await openGuest();
  pod = startPod({ guestDirectory: guest.directory, keeperProgram });
  await pod.keeper.boot({ timeoutMs: 90_000 });
  await pod.keeper.prepareSandbox({ sandboxId: "pod1", hostname: "pod1", dns: [] });
  const disk = openSync(guest.busyboxPath, "r");
  const { source } = await pod.keeper.attachDisk({ diskId: "layer0", readOnly: true }, [disk]);
  closeSync(disk);
  await startContainer(source);
});

after(async () => {
  await pod?.stop();
  rmSync(directory, { recursive: true });
});

function nativeKoffi(): string {
  const require = createRequire(import.meta.url);
  const name = `@koromix/koffi-${process.platform}-${process.arch}`;
  const folder = dirname(require.resolve(`${name}/package.json`));
  return join(folder, `${process.platform}_${process.arch}`, "koffi.node");
}

/** A container that waits for the execs of the tests. */
async function startContainer(source: string): Promise<void> {
  const namespaces = ["pid", "mount", "ipc", "uts"].map((type) => ({ type }));
  await pod.keeper.createContainer({
    containerId: "c1",
    layers: [{ source }],
    stdio: SILENT,
    spec: {
      ociVersion: "1.0.2",
      process: processOf([...SHELL, "trap 'exit 9' TERM; while :; do sleep 0.1; done"]),
      root: { path: "rootfs" },
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["newinstance", "ptmxmode=0666", "mode=0620"],
        },
      ],
      linux: { namespaces },
    },
  });
  await pod.keeper.startContainer({ containerId: "c1" });
}

function processOf(args: string[]) {
  return { args, cwd: "/", env: ["PATH=/bin", "TERM=xterm"], user: { uid: 0, gid: 0 } };
}

async function exitOf(execId: string): Promise<number> {
  for (let tries = 0; tries < 1200; tries += 1) {
    const event = pod.events.find((one) => one.event === "exited" && one.execId === execId);
    if (event?.event === "exited") return event.status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${execId} did not end; events: ${JSON.stringify(pod.events)}`);
}

/** Starts an exec with its standard output on a socket. */
async function exec(execId: string, args: string[], more: { stdin?: boolean; terminal?: boolean }) {
  const [stdout, reader] = socketPair();
  const [stdin, writer] = socketPair();
  const holder = openSync("/dev/null", "w");
  const stdio = { ...SILENT, stdout: true, stdin: more.stdin === true };
  const descriptors = more.stdin === true ? [stdin, holder, stdout] : [stdout];
  await pod.keeper.exec(
    {
      containerId: "c1",
      execId,
      process: processOf(args),
      stdio: { ...stdio, terminal: more.terminal === true },
    },
    descriptors,
  );
  for (const fd of [stdin, holder, stdout]) closeSync(fd);
  await pod.keeper.startExec({ containerId: "c1", execId });
  return { output: new Socket({ fd: reader, readable: true, writable: false }), writer };
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("VMM and keeper have no root, no capability, and no way to gain one", { skip }, async () => {
  for (const child of [pod.vmm, pod.keeperProcess]) {
    const { stdout } = await run(["cat", `/proc/${child.pid}/status`]);
    assert.match(stdout, /^Uid:\t(?!0\b)(\d+)\t\1\t\1\t\1$/m);
    assert.match(stdout, /^Groups:\s*$/m);
    assert.equal([...stdout.matchAll(/^Cap\w+:\t0{16}$/gm)].length, 5);
    assert.match(stdout, /^NoNewPrivs:\t1$/m);
  }
});

test("output and exit code of an exec come back", { skip }, async () => {
  const { output, writer } = await exec("e1", [...SHELL, "echo out; uname -r; exit 42"], {});
  assert.match(await textOf(output), /^out\n\d+\.\d+/);
  assert.equal(await exitOf("e1"), 42);
  closeSync(writer);
});

test("standard input reaches the process and ends with its writers", { skip }, async () => {
  const { output, writer } = await exec("e2", ["cat"], { stdin: true });
  writeSync(writer, "through the guest and back\n");
  await pod.keeper.closeStdin({ containerId: "c1", execId: "e2" });
  closeSync(writer);
  assert.equal(await textOf(output), "through the guest and back\n");
  assert.equal(await exitOf("e2"), 0);
});

test("5 MB of output arrive whole, in order, with a reader that stops at times", {
  skip,
}, async () => {
  const bytes = 5 * 1024 * 1024;
  const { output, writer } = await exec("e3", [...SHELL, `seq 9999999 | head -c ${bytes}`], {});
  closeSync(writer);
  const hash = createHash("sha256");
  let received = 0;
  for await (const chunk of output) {
    hash.update(chunk);
    const isMarkPassed = received % 1_000_000 > (received + chunk.length) % 1_000_000;
    received += chunk.length;
    if (isMarkPassed) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(received, bytes);
  assert.equal(hash.digest("hex"), sequenceHash(bytes));
  assert.equal(await exitOf("e3"), 0);
});

function sequenceHash(bytes: number): string {
  const hash = createHash("sha256");
  for (let next = 1, left = bytes; left > 0; ) {
    let text = "";
    for (const end = next + 10_000; next < end; next += 1) text += `${next}\n`;
    hash.update(text.slice(0, left));
    left -= Math.min(left, text.length);
  }
  return hash.digest("hex");
}

test("a terminal has the size that it was given", { skip }, async () => {
  const command = "until [ \"$(stty size)\" = '33 111' ]; do sleep 0.05; done; stty size";
  const { output, writer } = await exec("e4", [...SHELL, command], { terminal: true, stdin: true });
  await pod.keeper.resize({ containerId: "c1", execId: "e4", width: 111, height: 33 });
  assert.match(await textOf(output), /33 111\r\n/);
  assert.equal(await exitOf("e4"), 0);
  closeSync(writer);
});

test("a program that is not there is an error that says so", { skip }, async () => {
  await assert.rejects(exec("e5", ["/bin/nonsense"], {}), {
    code: "CONTAINER_PROGRAM_NOT_FOUND",
    message: /nonsense/,
  });
});

test("a signal reaches the container's first process alone", { skip }, async () => {
  await pod.keeper.signal({ containerId: "c1", signal: 15, all: false });
  assert.equal(await exitOf(""), 9);
  await pod.keeper.removeContainer({ containerId: "c1" });
  await pod.keeper.detachDisk({ diskId: "layer0" });
});

test("when the VMM is killed the loss is told, and calls fail at once", { skip }, async () => {
  pod.vmm.kill("SIGKILL");
  const failing = assert.rejects(pod.keeper.stats({ containerId: "c1" }), { code: "GUEST_LOST" });
  for (let tries = 0; !pod.events.some(({ event }) => event === "lost"); tries += 1) {
    assert.ok(tries < 100, "no loss was told within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await failing;
  pod.keeper.close();
  await new Promise((resolve) => pod.keeperProcess.once("exit", resolve));
  assert.equal(pod.keeperProcess.exitCode, 0);
});
