// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, suite, test } from "node:test";
import { run } from "../../../src/linux/run.ts";
import { ContainerState, NamespaceMode } from "../../generated/cri/runtime_pb.ts";
import type { CriNode } from "../../support/cri/node.ts";
import type { ContainerConfig, CriPod, PodOptions } from "../../support/cri/pod.ts";

const ANNOTATION = "io.katacontainers.config.hypervisor";

interface Refusal extends PodOptions {
  what: string;
  says: RegExp;
}

const PODS: Refusal[] = [
  {
    what: "a runtime that nobody has configured",
    handler: "no-such-runtime",
    says: /no runtime for "no-such-runtime" is configured/,
  },
  {
    what: "a runtime whose shim is not installed",
    handler: "absent",
    says: /binary not installed "containerd-shim-absent-v2"/,
  },
  {
    what: "a configuration file that is not there",
    handler: "lost",
    says: /\/nowhere\/configuration\.toml.*CONFIG_\w+/,
  },
  {
    what: "an annotation that the configuration does not allow",
    config: { annotations: { [`${ANNOTATION}.path`]: "/bin/true" } },
    says: /ANNOTATION_\w+/,
  },
  {
    what: "an annotation whose value is none",
    config: { annotations: { [`${ANNOTATION}.default_vcpus`]: "many" } },
    says: /ANNOTATION_\w+/,
  },
  {
    what: "the network of the host",
    config: {
      linux: { securityContext: { namespaceOptions: { network: NamespaceMode.NODE } } },
    },
    says: /NETWORK_HOST_REFUSED/,
  },
  {
    what: "a kernel setting that does not exist",
    config: { linux: { sysctls: { "net.ipv4.no_such_setting": "1" } } },
    says: /no_such_setting/,
  },
];

const CONTAINERS: { what: string; command?: string[]; config: ContainerConfig; says: RegExp }[] = [
  {
    what: "an image that is not there",
    config: { image: { image: "local.test/none:1" } },
    says: /local\.test\/none:1.*not found/,
  },
  { what: "no image", config: { image: { image: "" } }, says: /image/ },
  {
    what: "a program that is not in the image",
    command: ["/nowhere/program"],
    config: {},
    says: /\/nowhere\/program.*CONTAINER_PROGRAM_NOT_FOUND/s,
  },
];

/** What kubelet may get wrong is told to it, and leaves nothing. */
export function badInput(getNode: () => CriNode): void {
  suite("a pod that cannot be", () => {
    afterEach(async () => {
      const node = getNode();
      assert.deepEqual((await node.cri.listPodSandbox({})).items, []);
      assert.deepEqual(await node.leftovers(), []);
      await node.world.assertNothingLeft();
    });
    for (const [index, { what, says, ...options }] of PODS.entries()) {
      test(`is refused with its reason: ${what}`, async () => {
        await assert.rejects(getNode().runPod(`bad-${index}`, options), says);
      });
    }
  });

  suite("a container that cannot be", () => {
    let node: CriNode;
    let pod: CriPod;
    before(async () => {
      node = getNode();
      pod = await node.runPod("host-of-bad-ones");
    });
    after(async () => {
      await pod?.remove();
      await node.world.assertNothingLeft();
      assert.deepEqual(await node.leftovers(), []);
    });
    for (const [index, { what, command = ["sleep", "1"], config, says }] of CONTAINERS.entries()) {
      test(`is refused with its reason: ${what}`, async () => {
        await assert.rejects(pod.start(`bad-${index}`, command, config), says);
      });
    }

    test("is refused with its reason: a socket of the host as a volume", async () => {
      const path = join(node.world.directory, "host.sock");
      const server = createServer().listen(path);
      const mounts = [{ containerPath: "/run/host.sock", hostPath: path }];
      try {
        await assert.rejects(pod.start("socket", ["sleep", "1"], { mounts }), /VOLUME_UNSUPPORTED/);
      } finally {
        server.close();
      }
    });

    test("does no harm to those beside it, nor does a network namespace that vanishes", async () => {
      const { info } = await node.cri.podSandboxStatus({ podSandboxId: pod.id, verbose: true });
      const spec = JSON.parse(info.info ?? "{}").runtimeSpec;
      const path = spec.linux.namespaces.find(
        (one: { type: string }) => one.type === "network",
      ).path;
      await run(["umount", path]);
      rmSync(path);
      const id = await pod.start("good", ["sleep", "100000"]);
      assert.equal((await pod.status(id)).state, ContainerState.CONTAINER_RUNNING);
      await pod.stop();
    });
  });
}
