// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { cgroupHierarchies } from "../../../src/host/cgroups/hierarchies.ts";
import { readSandboxState } from "../../../src/host/sandbox-state.ts";
import { cgroupMode } from "../../../src/linux/cgroup-mode.ts";
import { StatusCode } from "../../../src/ttrpc/status.ts";
import { hasStatus } from "../../../src/ttrpc/ttrpc-error.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { Bundle, FakeContainerd, runShim, ShimClient } from "../../support/shim-client.ts";

const SERVICE_V3 = "containerd.task.v3.Task";
let world: PodWorld;
let containerd: FakeContainerd;
before(async () => {
  world = new PodWorld();
  containerd = await FakeContainerd.listen(world.directory);
});
after(async () => {
  containerd.close();
  await world.end();
});

async function startShim(bundle: Bundle): Promise<ShimClient> {
  const call = { directory: bundle.directory, id: bundle.id, containerd };
  const output = await runShim(call, "start");
  assert.equal(output.code, 0, output.stderr);
  assert.match(output.stdout.toString(), /^unix:\/\/\/\S+$/, "one address and nothing else");
  assert.equal(bundle.address, output.stdout.toString());
  return await ShimClient.connect(bundle.address, SERVICE_V3);
}

const notFound = (error: unknown): boolean => hasStatus(error, StatusCode.NOT_FOUND);
const refused = (error: unknown): boolean => hasStatus(error, StatusCode.FAILED_PRECONDITION);

test("a task lives through all its states, and containerd is told of each", async (t) => {
  const bundle = new Bundle(world.directory, "one", ["sh", "-c", "cat; echo end; exit 3"]);
  const shim = await startShim(bundle);
  const stdin = await bundle.input("stdin");
  const stdout = await bundle.output("stdout");
  const pid = await shim.create(bundle, { stdin: stdin.path, stdout: stdout.path });
  const state = readSandboxState("test..one");

  await t.test("created: it has a living pid, and waits to be started", async () => {
    // Of the process in whose network namespace clients such as Docker put interfaces.
    assert.equal(pid, state?.processes.network?.pid);
    assert.ok(existsSync(`/proc/${pid}/ns/net`));
    assert.equal((await shim.state("one")).status, 1);
    assert.equal((await shim.connectTask("one")).taskPid, pid);
    assert.equal((await shim.connectTask("unknown")).taskPid, 0);
    for (const role of ["vmm", "keeper"] as const) {
      const groups = readFileSync(`/proc/${state?.processes[role]?.pid}/cgroup`, "utf8").trim();
      for (const line of groups.split("\n")) assert.match(line, /:\/mukon\/one$/, role);
    }
    await assert.rejects(shim.state("unknown"), notFound);
    await assert.rejects(shim.create(bundle), (error) =>
      hasStatus(error, StatusCode.ALREADY_EXISTS),
    );
  });

  const exited = shim.wait("one");
  await shim.start("one");
  await t.test("running: execs, pause and numbers", async () => {
    assert.equal((await shim.state("one")).status, 2);
    assert.deepEqual(await shim.pids("one"), [pid]);
    await assert.rejects(shim.start("one"), refused);
    await assert.rejects(shim.delete("one"), refused);
    const output = await bundle.output("exec-stdout");
    await shim.exec("one", "e1", ["sh", "-c", "echo hello; exit 5"], { stdout: output.path });
    assert.equal((await shim.state("one", "e1")).pid, 0);
    await assert.rejects(shim.kill("one", 9, "e1"), refused);
    await shim.start("one", "e1");
    assert.equal(await shim.wait("one", "e1"), 5);
    assert.equal(await output.ended, "hello\n");
    assert.equal((await shim.delete("one", "e1")).exitStatus, 5);
    await assert.rejects(shim.state("one", "e1"), notFound);
    await shim.pause("one");
    assert.equal((await shim.state("one")).status, 4);
    await shim.resume("one");
    const stats = await shim.stats("one");
    const version = cgroupMode() === "unified" ? "v2" : "v1";
    assert.equal(stats?.typeUrl, `io.containerd.cgroups.${version}.Metrics`);
    assert.ok((stats?.value.length ?? 0) > 0);
    await assert.rejects(shim.checkpoint("one"), (error) =>
      hasStatus(error, StatusCode.UNIMPLEMENTED),
    );
  });

  await t.test("stopped: output is whole, the status stays until it is deleted", async () => {
    stdin.stream.write("typed\n");
    await sleep(300);
    stdin.stream.destroy();
    await shim.closeInput("one");
    assert.equal(await exited, 3);
    assert.equal(await stdout.ended, "typed\nend\n");
    assert.deepEqual(
      [(await shim.state("one")).status, (await shim.state("one")).exitStatus],
      [3, 3],
    );
    assert.deepEqual(await shim.pids("one"), [pid]);
    await assert.rejects(shim.kill("one", 15), notFound);
    await shim.closeInput("one");
    assert.equal((await shim.delete("one")).exitStatus, 3);
    await assert.rejects(shim.delete("one"), notFound);
  });

  for (const { mountPoint } of cgroupHierarchies()) {
    assert.ok(!existsSync(join(mountPoint, "mukon", "one")));
  }

  await shim.shutdown("one");
  shim.close();
  const deleted = await runShim(
    { directory: bundle.directory, id: "one", containerd },
    ...["-bundle", bundle.directory, "delete"],
  );
  assert.equal(deleted.code, 0, deleted.stderr);
  assert.equal(deleted.stdout.subarray(0, 3).toString("hex"), "108901", "exit status 137");
  assert.deepEqual(containerd.topics(), [
    "/tasks/create",
    "/tasks/start",
    "/tasks/exec-added",
    "/tasks/exec-started",
    "/tasks/exit e1 5",
    "/tasks/paused",
    "/tasks/resumed",
    "/tasks/exit one 3",
    "/tasks/delete",
  ]);
  assert.deepEqual(new Set(containerd.events.map(({ namespace }) => namespace)), new Set(["test"]));
});

test("kill -9 of VMM or keeper ends every process of the pod with 255", async () => {
  for (const role of ["vmm", "keeper"] as const) {
    containerd.events.length = 0;
    const id = `lost-${role}`;
    const bundle = new Bundle(world.directory, id, ["sleep", "1000"]);
    const shim = await startShim(bundle);
    await shim.create(bundle);
    await shim.start(id);
    await shim.exec(id, "e1", ["sleep", "1000"]);
    await shim.start(id, "e1");
    const ends = Promise.all([shim.wait(id), shim.wait(id, "e1")]);
    const victim = readSandboxState(`test..${id}`)?.processes[role]?.pid ?? 0;
    process.kill(victim, "SIGKILL");
    assert.deepEqual(await ends, [255, 255]);
    await assert.rejects(shim.kill(id, 9), notFound);
    assert.equal((await shim.delete(id)).exitStatus, 255);
    assert.deepEqual(containerd.topics().slice(4), [
      "/tasks/exit e1 255",
      `/tasks/exit ${id} 255`,
      "/tasks/delete",
    ]);
    await shim.shutdown(id);
    shim.close();
  }
});

test("after kill -9 of the shim, delete leaves nothing of the pod", async () => {
  const bundle = new Bundle(world.directory, "orphan", ["sleep", "1000"]);
  const shim = await startShim(bundle);
  await shim.create(bundle);
  await shim.start("orphan");
  const processes = readSandboxState("test..orphan")?.processes;
  process.kill(processes?.shim.pid ?? 0, "SIGKILL");
  const call = { directory: bundle.directory, id: "orphan", containerd };
  // containerd has been seen to run it twice at once.
  const outputs = await Promise.all([runShim(call, "delete"), runShim(call, "delete")]);
  for (const { code, stderr } of outputs) assert.equal(code, 0, stderr);
  shim.close();
  await world.assertNothingLeft();
  assert.ok(!existsSync(`/proc/${processes?.vmm?.pid}/exe`));
});

test("kill -9 of the shim while it makes a pod: delete leaves nothing, and the name is free", async () => {
  for (const delayMs of [0, 60, 200, 500, 3_000]) {
    const bundle = new Bundle(world.directory, `early-${delayMs}`, ["true"]);
    const shim = await startShim(bundle);
    const { shimPid } = await shim.connectTask(bundle.id);
    const created = shim.create(bundle).catch(() => {});
    await sleep(delayMs);
    process.kill(shimPid, "SIGKILL");
    await created;
    shim.close();
    const call = { directory: bundle.directory, id: bundle.id, containerd };
    const deleted = await runShim(call, "delete");
    assert.equal(deleted.code, 0, deleted.stderr);
    await world.assertNothingLeft();
  }
});

test("SIGTERM ends the shim, its pod, and tells containerd of the end", async () => {
  containerd.events.length = 0;
  const bundle = new Bundle(world.directory, "term", ["sleep", "1000"]);
  const shim = await startShim(bundle);
  await shim.create(bundle);
  await shim.start("term");
  const { shimPid } = await shim.connectTask("term");
  const ended = shim.wait("term");
  process.kill(shimPid, "SIGTERM");
  assert.equal(await ended, 255);
  await world.assertNothingLeft();
  assert.deepEqual(containerd.topics().slice(2), ["/tasks/exit term 255"]);
  shim.close();
});

test("a container that joins a pod shares its VM, and leaves without ending it", async () => {
  containerd.events.length = 0;
  const annotate = (type: string) => ({
    annotations: {
      "io.kubernetes.cri.container-type": type,
      "io.kubernetes.cri.sandbox-id": "pod",
    },
  });
  const orphan = new Bundle(world.directory, "member", ["true"], annotate("container"));
  const failed = await runShim({ directory: orphan.directory, id: "member", containerd }, "start");
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /POD_NOT_RUNNING/);

  const sandbox = new Bundle(world.directory, "pod", ["sleep", "1000"], annotate("sandbox"));
  const pod = await startShim(sandbox);
  await pod.create(sandbox);
  await pod.start("pod");
  const member = await startShim(orphan);
  assert.equal(orphan.address, sandbox.address);
  await member.create(orphan);
  await member.start("member");
  assert.equal(await member.wait("member"), 0);
  await member.delete("member");
  await member.shutdown("member");
  await runShim({ directory: orphan.directory, id: "member", containerd }, "delete");
  assert.equal((await pod.state("pod")).status, 2, "the pod lives on");
  await pod.kill("pod", 9);
  assert.equal(await pod.wait("pod"), 137);
  await pod.delete("pod");
  await pod.shutdown("pod");
  member.close();
  pod.close();
});

test("what the guest cannot have is refused before a VM is started", async () => {
  const source = "/run/systemd/private-socket-of-the-host";
  const mounts = [{ destination: "/data", type: "bind", source, options: ["rbind"] }];
  const bundle = new Bundle(world.directory, "volume", ["true"], { mounts });
  const shim = await startShim(bundle);
  await assert.rejects(shim.create(bundle), /\/data.*VOLUME_UNSUPPORTED/);
  await assert.rejects(shim.delete("volume"), notFound);
  await shim.shutdown("volume");
  shim.close();
  assert.ok(!existsSync(join(world.runRoot, "sandboxes", "test..volume")));
});

test("output goes into files and programs that are named by URIs, and no descriptor stays", async () => {
  const script = "echo out; echo err >&2; sleep 1000";
  const bundle = new Bundle(world.directory, "file", ["sh", "-c", script]);
  const shim = await startShim(bundle);
  const path = join(bundle.directory, "logs", "output");
  await shim.create(bundle, { stdout: `file://${path}`, stderr: `file://${path}` });
  await shim.start("file");

  const log = join(bundle.directory, "program");
  const program = world.executable(
    "logger",
    `#!/bin/sh\nexec 5>&-\necho "$1 $2 $CONTAINER_ID $CONTAINER_NAMESPACE" > ${log}\ncat <&3 >> ${log}\ncat <&4 >> ${log}\n`,
  );
  const uri = `binary://${program}?key=value`;
  await shim.exec("file", "logged", ["sh", "-c", "echo one; echo two >&2"], {
    stdout: uri,
    stderr: uri,
  });
  await shim.start("file", "logged");
  assert.equal(await shim.wait("file", "logged"), 0);
  await shim.delete("file", "logged");
  assert.equal(readFileSync(log, "utf8"), "key value file test\none\ntwo\n");
  await assert.rejects(
    shim.exec("file", "bad", ["true"], { stdout: "binary:///none" }),
    /STDIO_UNUSABLE/,
  );

  const { shim: owner, keeper } = readSandboxState("test..file")?.processes ?? {};
  const descriptors = (): number[] =>
    [owner?.pid, keeper?.pid].map((pid) => readdirSync(`/proc/${pid}/fd`).length);
  const before = descriptors();
  for (let round = 0; round < 20; round += 1) {
    const some = Array.from({ length: 10 }, (_, index) => `e${round}-${index}`);
    await Promise.all(
      some.map(async (execId) => {
        const stdout = `file://${bundle.directory}/logs/many`;
        await shim.exec("file", execId, ["true"], { stdout });
        await shim.start("file", execId);
        assert.equal(await shim.wait("file", execId), 0);
        await shim.delete("file", execId);
      }),
    );
  }
  // The keeper closes a file when it has been written to, which may be a moment later.
  for (let poll = 0; poll < 50 && !isDeepStrictEqual(descriptors(), before); poll += 1) {
    await sleep(100);
  }
  assert.deepEqual(descriptors(), before, "after 200 execs");

  await shim.kill("file", 9);
  await shim.wait("file");
  await shim.delete("file");
  await shim.shutdown("file");
  shim.close();
  assert.deepEqual(readFileSync(path, "utf8").trim().split("\n").sort(), ["err", "out"]);
});
