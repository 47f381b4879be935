// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { CriNode } from "../../support/cri/node.ts";
import type { CriPod } from "../../support/cri/pod.ts";

/** As many pods of two containers as are run at once. */
const PODS = Number(process.env.MUKON_TEST_PODS ?? 10);
const SERVER =
  "mkdir /tmp/www; echo from $(busybox hostname) > /tmp/www/name; exec busybox httpd -f -p 80 -h /tmp/www";

/** Pods speak with each other, and the host with them. */
export function networks(getNode: () => CriNode): void {
  suite("many pods at once", () => {
    test(`${PODS} pods of two containers start, reach each other, and go when the node is drained`, async () => {
      const node = getNode();
      const { network } = node;
      const names = Array.from({ length: PODS }, (_, index) => `pod-${index}`);
      const pods = await Promise.all(
        names.map(async (name) => {
          const pod = await node.runPod(name);
          await pod.start("server", ["sh", "-c", SERVER]);
          const client = await pod.start("client", ["sleep", "100000"]);
          return { pod, client, ip: await pod.ip() };
        }),
      );
      assert.equal(new Set(pods.map(({ ip }) => ip)).size, PODS);
      const users = new Set(pods.map(({ pod }) => pod.state.identity?.vmm.uid));
      assert.equal(users.size, PODS, "each has a user of its own");
      for (const { ip } of pods) await network.fetch(network.host, `http://${ip}/name`);
      await Promise.all(
        pods.map(async ({ pod, client }, index) => {
          const other = pods[(index + 1) % PODS];
          assert.ok(other);
          await pod.exec(client, "busybox", "ping", "-c", "1", "-W", "10", other.ip);
          assert.equal(
            await pod.exec(client, "busybox", "wget", "-q", "-O", "-", `http://${other.ip}/name`),
            `from pod-${(index + 1) % PODS}\n`,
          );
        }),
      );
      await drained(
        node,
        pods.map(({ pod }) => pod),
      );
    });
  });
}

async function drained(node: CriNode, pods: readonly CriPod[]): Promise<void> {
  await node.drain();
  assert.deepEqual((await node.cri.listPodSandbox({})).items, []);
  assert.deepEqual((await node.cri.listContainers({})).containers, []);
  for (const pod of pods) assert.throws(() => pod.state, /no state/);
  assert.deepEqual(await node.leftovers(), []);
  await node.world.assertNothingLeft();
}
