// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ContainerState, NamespaceMode } from "../../generated/cri/runtime_pb.ts";
import type { CriNode } from "../../support/cri/node.ts";
import type { CriPod } from "../../support/cri/pod.ts";
import { stream } from "../../support/cri/stream.ts";
import { mukon } from "../../support/mukon.ts";
import { until } from "./until.ts";

/** Ends when it is told to, once it has said that it is ready. */
const IDLE = ["sh", "-c", "trap 'exit 0' TERM; echo ready; sleep 100000 & wait"];
const NAMESPACES = "for n in ipc uts net pid; do readlink /proc/self/ns/$n; done";
const OWN_PIDS = {
  linux: { securityContext: { namespaceOptions: { pid: NamespaceMode.CONTAINER } } },
};

/** One pod with several containers, and all that kubelet asks of them. */
export function containers(getNode: () => CriNode): void {
  suite("containers of one pod", () => {
    let node: CriNode;
    let pod: CriPod;
    let first: string;
    let second: string;
    before(async () => {
      node = getNode();
      pod = await node.runPod("main", { config: OWN_PIDS });
      first = await pod.start("first", IDLE, OWN_PIDS);
      second = await pod.start("second", IDLE, OWN_PIDS);
    });
    after(async () => await pod?.remove());

    test("share network, host name, IPC and /dev/shm, and have processes of their own", async () => {
      const [ipc, uts, net, pid] = (await pod.sh(first, NAMESPACES)).split("\n");
      const others = (await pod.sh(second, NAMESPACES)).split("\n");
      assert.deepEqual(others.slice(0, 3), [ipc, uts, net]);
      assert.notEqual(others[3], pid);
      await pod.sh(first, "echo through memory > /dev/shm/note");
      assert.equal(await pod.exec(second, "cat", "/dev/shm/note"), "through memory\n");
      await pod.sh(
        first,
        "mkdir /tmp/w; echo from first > /tmp/w/x; busybox httpd -p 127.0.0.1:8080 -h /tmp/w",
      );
      const url = "http://127.0.0.1:8080/x";
      assert.equal(await pod.exec(second, "busybox", "wget", "-q", "-O", "-", url), "from first\n");
      assert.doesNotMatch(await pod.exec(second, "busybox", "ps"), /httpd -p/);
    });

    test("have the pod's name, name servers and hosts", async () => {
      assert.equal(await pod.exec(first, "cat", "/etc/hostname"), "main\n");
      assert.equal(await pod.exec(second, "busybox", "hostname"), "main\n");
      const resolv = await pod.exec(first, "cat", "/etc/resolv.conf");
      assert.match(resolv, /^nameserver 10\.93\.0\.1$/m);
      assert.match(resolv, /^search tests\.local$/m);
      assert.match(resolv, /^options ndots:5$/m);
      assert.match(await pod.exec(first, "cat", "/etc/hosts"), /localhost/);
    });

    test("a container's own settings: user, directory, variables, mounts, a read-only root", async () => {
      const hosts = node.world.write("hosts", "127.0.0.1 localhost\n10.93.0.77 friend\n", 0o644);
      const message = node.world.write("termination-message", "", 0o666);
      const script = [
        "id -u; id -g; pwd; echo $GREETING; cat /etc/hosts",
        "touch /x || echo read-only",
        "grep CapEff /proc/self/status || cat /proc/self/status",
        "echo done with it > /dev/termination-log",
      ].join("; ");
      const id = await pod.start("settings", ["sh", "-c", script], {
        workingDir: "/srv",
        envs: [{ key: "GREETING", value: "hello there" }],
        mounts: [
          { containerPath: "/etc/hosts", hostPath: hosts },
          { containerPath: "/dev/termination-log", hostPath: message },
        ],
        linux: {
          securityContext: {
            runAsUser: { value: 1000n },
            runAsGroup: { value: 1001n },
            readonlyRootfs: true,
            capabilities: { dropCapabilities: ["ALL"] },
            ...OWN_PIDS.linux.securityContext,
          },
        },
      });
      const { exitCode, reason } = await pod.awaitExit(id);
      assert.deepEqual([exitCode, reason], [0, "Completed"], pod.log("settings"));
      const log = pod.log("settings");
      const lines = log.split("\n").map((line) => line.replace(/^\S+ \w+ F /, ""));
      assert.deepEqual(lines.slice(0, 4), ["1000", "1001", "/srv", "hello there"]);
      assert.match(log, /stdout F 10\.93\.0\.77 friend$/m);
      assert.match(log, /stdout F read-only$/m);
      assert.match(log, /CapEff:\s+0{16}$/m);
      assert.equal(readFileSync(message, "utf8"), "done with it\n");
      await node.cri.removeContainer({ containerId: id });
    });

    test("log files: both streams, long lines, and a file that is taken away", async () => {
      const script = "trap 'echo late; exit 0' TERM; echo out; echo err >&2; sleep 100000 & wait";
      const id = await pod.start("logs", ["sh", "-c", script], OWN_PIDS);
      await until(() => pod.log("logs").includes("err"));
      assert.match(pod.log("logs"), /^\d{4}-\d\d-\d\dT\S+ stdout F out$/m);
      assert.match(pod.log("logs"), /^\S+ stderr F err$/m);
      const path = join(pod.logDirectory, "logs.log");
      renameSync(path, `${path}.old`);
      await node.cri.reopenContainerLog({ containerId: id });
      await node.cri.stopContainer({ containerId: id, timeout: 30n });
      assert.match(pod.log("logs"), /^\S+ stdout F late\n$/);
      await node.cri.removeContainer({ containerId: id });
    });

    test("ExecSync: both outputs, the exit code, a program that is missing", async () => {
      const { stdout, stderr, exitCode } = await node.cri.execSync({
        containerId: first,
        cmd: ["sh", "-c", "echo out; echo err >&2; exit 7"],
      });
      assert.deepEqual([text(stdout), text(stderr), exitCode], ["out\n", "err\n", 7]);
      const missing = node.cri.execSync({ containerId: first, cmd: ["/nowhere/program"] });
      await assert.rejects(missing, /\/nowhere\/program/);
    });

    test("ExecSync that takes too long is ended, and says so", async () => {
      const cmd = ["sleep", "4242"];
      const late = node.cri.execSync({ containerId: first, cmd, timeout: 1n });
      await assert.rejects(
        late,
        (error) => error instanceof ConnectError && error.code === Code.DeadlineExceeded,
      );
      await until(async () => !/sleep 4242/.test(await pod.exec(first, "busybox", "ps")));
    });

    test("Exec and Attach by the streaming server, with input and a terminal", async () => {
      const { network } = node;
      const cmd = ["sh", "-c", "read line; echo got $line; echo bad >&2; exit 5"];
      const exec = await node.cri.exec({
        containerId: first,
        cmd,
        stdin: true,
        stdout: true,
        stderr: true,
      });
      const out = await stream(network.host, exec.url, { input: [[0, "a line\n"]] });
      assert.deepEqual([out[1], out[2]], ["got a line\n", "bad\n"]);
      assert.match(out[3] ?? "", /"ExitCode","message":"5"/);
      const tty = await node.cri.exec({
        containerId: first,
        cmd: ["sh"],
        tty: true,
        stdin: true,
        stdout: true,
      });
      const terminal = await stream(network.host, tty.url, {
        input: [
          [4, '{"Width":91,"Height":17}'],
          [0, "sleep 0.3; stty size; exit\n"],
        ],
      });
      assert.match(terminal[1] ?? "", /17 91/);
      const id = await pod.start(
        "talks",
        ["sh", "-c", "while read line; do echo heard $line; done"],
        {
          ...OWN_PIDS,
          stdin: true,
        },
      );
      const attach = await node.cri.attach({ containerId: id, stdin: true, stdout: true });
      const heard = await stream(network.host, attach.url, {
        input: [[0, "one\n"]],
        until: "heard one",
      });
      assert.match(heard[1] ?? "", /heard one/);
      await node.cri.stopContainer({ containerId: id, timeout: 0n });
      await node.cri.removeContainer({ containerId: id });
    });

    test("port-forward reaches what listens on the guest's loopback alone, and large answers", async () => {
      const { network } = node;
      await pod.sh(
        second,
        "mkdir -p /tmp/p; busybox dd if=/dev/zero of=/tmp/p/zeros bs=1M count=2",
      );
      await pod.sh(second, "busybox httpd -p 127.0.0.1:8090 -h /tmp/p");
      const { url } = await node.cri.portForward({ podSandboxId: pod.id, port: [8090] });
      // Two channels, for data and for errors, which begin with two bytes: the port itself.
      const answer = await stream(network.host, url, {
        input: [[0, "GET /zeros HTTP/1.0\r\n\r\n"]],
      });
      const [head, body] = (answer[0]?.slice(2) ?? "").split("\r\n\r\n");
      assert.match(head ?? "", /^HTTP\/1\.\d 200 OK\r\n/);
      assert.equal(body, "\0".repeat(2 * 1024 * 1024));
      assert.equal(answer[1]?.slice(2), "", "no error");
      // By itself: CRI ends a whole request when one of its ports does.
      const unheard = await node.cri.portForward({ podSandboxId: pod.id, port: [8091] });
      const silence = await stream(network.host, unheard.url, { input: [] });
      assert.equal(silence[0]?.slice(2) ?? "", "", "nothing comes from where nobody listens");
      const again = await node.cri.portForward({ podSandboxId: pod.id, port: [8090] });
      const missing = await stream(network.host, again.url, {
        input: [[0, "GET /none HTTP/1.0\r\n\r\n"]],
        until: "404 Not Found",
      });
      assert.match(missing[0] ?? "", /404 Not Found/);
    });

    test("mukon audit finds every promise kept, port-forward or not", async () => {
      const { code, stdout, stderr } = await mukon(["audit", `k8s.io..${pod.id}`]);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /keeper/);
    });

    test("statistics are the guest's", async () => {
      const { stats } = await node.cri.containerStats({ containerId: first });
      assert.ok(Number(stats?.memory?.workingSetBytes?.value) > 0);
      assert.ok(Number(stats?.memory?.workingSetBytes?.value) < 64 * 1024 * 1024);
      assert.ok(Number(stats?.cpu?.usageCoreNanoSeconds?.value) > 0);
      const all = await node.cri.listContainerStats({});
      assert.ok(all.stats.some(({ attributes }) => attributes?.id === second));
      const sandbox = await node.cri.podSandboxStats({ podSandboxId: pod.id });
      assert.equal(sandbox.stats?.linux?.containers.length, 2);
      assert.ok(Number(sandbox.stats?.linux?.memory?.usageBytes?.value) > 0);
    });

    test("a container that ends is started anew in the same pod", async () => {
      const id = await pod.start("again", ["sh", "-c", "exit 3"], OWN_PIDS);
      const { exitCode, reason } = await pod.awaitExit(id);
      assert.deepEqual([exitCode, reason], [3, "Error"]);
      const next = await pod.start("again", IDLE, {
        ...OWN_PIDS,
        metadata: { name: "again", attempt: 1 },
      });
      await node.cri.removeContainer({ containerId: id });
      await until(() => pod.log("again").includes("ready"));
      const { containers } = await node.cri.listContainers({ filter: { podSandboxId: pod.id } });
      const running = containers.filter(({ state }) => state === ContainerState.CONTAINER_RUNNING);
      assert.deepEqual(running.map((one) => one.id).sort(), [first, second, next].sort());
      await node.cri.stopContainer({ containerId: next, timeout: 10n });
      assert.equal((await pod.status(next)).exitCode, 0, "it was told to end, and did");
      await node.cri.removeContainer({ containerId: next });
    });
  });

  suite("containers that share their processes", () => {
    test("see each other and the pod's own, which outlives each of them", async () => {
      const node = getNode();
      const pod = await node.runPod("shared-pids");
      const first = await pod.start("first", IDLE);
      const second = await pod.start("second", ["sh", "-c", "sleep 777"]);
      const list = await pod.exec(first, "busybox", "ps");
      assert.match(list, /sleep 777/);
      assert.match(list, /^ +1 root .*sleep 1000/m, "process 1 is the pod's");
      await node.cri.stopContainer({ containerId: first, timeout: 0n });
      assert.equal((await pod.status(second)).state, ContainerState.CONTAINER_RUNNING);
      const third = await pod.start("third", IDLE);
      assert.match(await pod.exec(third, "busybox", "ps"), /sleep 777/);
      await pod.remove();
      await node.world.assertNothingLeft();
    });
  });
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
