// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ContainerState, PodSandboxState } from "../../generated/cri/runtime_pb.ts";
import type { CriNode } from "../../support/cri/node.ts";
import type { CriPod } from "../../support/cri/pod.ts";
import { until } from "./until.ts";

const IDLE = ["sleep", "100000"];

async function stateOf(node: CriNode, pod: CriPod): Promise<PodSandboxState | undefined> {
  return (await node.cri.podSandboxStatus({ podSandboxId: pod.id })).status?.state;
}

async function assertGone(node: CriNode, pod: CriPod): Promise<void> {
  const { items } = await node.cri.listPodSandbox({});
  assert.ok(!items.some(({ id }) => id === pod.id));
  await node.world.assertNothingLeft();
  assert.deepEqual(await node.leftovers(), []);
}

/** Pods are stopped and removed whatever has become of them, and leave nothing. */
export function endings(getNode: () => CriNode): void {
  suite("a pod is stopped and removed", () => {
    test("without a container, and again", async () => {
      const node = getNode();
      const pod = await node.runPod("empty");
      await pod.stop();
      assert.equal(await stateOf(node, pod), PodSandboxState.SANDBOX_NOTREADY);
      await pod.stop();
      await pod.remove();
      await node.cri.removePodSandbox({ podSandboxId: pod.id });
      await assertGone(node, pod);
    });

    test("with containers that were created, that run, and that have ended", async () => {
      const node = getNode();
      const pod = await node.runPod("mixed");
      await pod.create("created", IDLE);
      await pod.start("runs", IDLE);
      const ended = await pod.start("ended", ["sh", "-c", "exit 1"]);
      assert.equal((await pod.awaitExit(ended)).exitCode, 1);
      await pod.remove();
      await assertGone(node, pod);
    });

    test("whose VMM was killed: its containers end, and say so", async () => {
      const node = getNode();
      const pod = await node.runPod("no-vmm");
      const id = await pod.start("runs", IDLE);
      process.kill(pod.state.processes.vmm?.pid ?? 0, "SIGKILL");
      const { exitCode } = await pod.awaitExit(id);
      assert.notEqual(exitCode, 0);
      await until(async () => (await stateOf(node, pod)) === PodSandboxState.SANDBOX_NOTREADY);
      await pod.remove();
      await assertGone(node, pod);
    });

    test("whose shim was killed", async () => {
      const node = getNode();
      const pod = await node.runPod("no-shim");
      const id = await pod.start("runs", IDLE);
      process.kill(pod.state.processes.shim.pid, "SIGKILL");
      await pod.awaitExit(id);
      await pod.remove();
      await assertGone(node, pod);
    });
  });

  suite("containerd is killed and started again", () => {
    test("running pods run on, and what has ended meanwhile is known", async () => {
      const node = getNode();
      const pod = await node.runPod("survives");
      const runs = await pod.start("runs", IDLE);
      const ends = await pod.start("ends", [
        "sh",
        "-c",
        "while [ ! -e /dev/shm/end ]; do sleep 0.1; done; exit 9",
      ]);
      await pod.exec(runs, "sh", "-c", "(sleep 1; echo > /dev/shm/end) > /dev/null 2>&1 &");
      await node.killContainerd();
      assert.equal(await stateOf(node, pod), PodSandboxState.SANDBOX_READY);
      assert.equal((await pod.status(runs)).state, ContainerState.CONTAINER_RUNNING);
      assert.equal((await pod.awaitExit(ends)).exitCode, 9);
      assert.equal(await pod.exec(runs, "echo", "still here"), "still here\n");
      const more = await pod.start("more", ["sh", "-c", "exit 4"]);
      assert.equal((await pod.awaitExit(more)).exitCode, 4);
      await pod.remove();
      await assertGone(node, pod);
    });

    test("a pod whose shim died meanwhile is not ready, and can be removed", async () => {
      const node = getNode();
      const pod = await node.runPod("forgotten");
      await pod.start("runs", IDLE);
      await node.killContainerd(() => process.kill(pod.state.processes.shim.pid, "SIGKILL"));
      assert.equal(await stateOf(node, pod), PodSandboxState.SANDBOX_NOTREADY);
      await pod.remove();
      await assertGone(node, pod);
    });
  });
}
