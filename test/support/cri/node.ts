// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listMounts } from "../../../src/linux/mounts.ts";
import { Containerd } from "../containerd.ts";
import { NetworkWorld } from "../network-world.ts";
import { TemplateWorld } from "../template-world.ts";
import { type CriClient, connectCri } from "./client.ts";
import { criConfiguration, PAUSE_IMAGE } from "./configuration.ts";
import { CriPod, type PodOptions } from "./pod.ts";

const NAMESPACE = "k8s.io";
export const SHELL_IMAGE = "local.test/shell:1";
/** A pause that is told to end ends, and so does one that is killed. */
const PAUSE = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"];
const READY_MS = 20_000;

/**
 * A node as kubelet finds it: containerd with its CRI plugin, CNI plugins, and mukon as a runtime. All of
 * it is the test's own; what it does to networks it does in a namespace. Pods are clones of a template.
 */
export class CriNode {
  readonly world: TemplateWorld;
  readonly network: NetworkWorld;
  readonly containerd: Containerd;
  cri: CriClient;
  #close: () => void;

  private constructor(world: TemplateWorld, network: NetworkWorld, containerd: Containerd) {
    this.world = world;
    this.network = network;
    this.containerd = containerd;
    const { client, close } = connectCri(containerd.socket);
    this.cri = client;
    this.#close = close;
  }

  static async start(): Promise<CriNode> {
    const world = new TemplateWorld({ "agent.kata": { dial_timeout: 300 } });
    await world.build();
    const network = await NetworkWorld.make();
    const containerd = await Containerd.start(world, {
      under: ["nsenter", `--net=${network.host}`, "--"],
      configure: (directory) => {
        const networks = join(directory, "net.d");
        mkdirSync(networks);
        writeFileSync(join(networks, "10-pods.conflist"), JSON.stringify(podNetwork(network)));
        return criConfiguration({ directory, networks });
      },
    });
    const path = { Env: ["PATH=/bin:/usr/bin"] };
    await containerd.importImage(PAUSE_IMAGE, { Entrypoint: PAUSE, ...path }, NAMESPACE);
    await containerd.importImage(SHELL_IMAGE, { Cmd: ["sh"], ...path }, NAMESPACE);
    const node = new CriNode(world, network, containerd);
    try {
      await node.#awaitReady();
    } catch (error) {
      await node.end().catch(() => {});
      throw error;
    }
    return node;
  }

  /** Runs a pod, without a container yet. */
  async runPod(name: string, options: PodOptions = {}): Promise<CriPod> {
    return await CriPod.run(this, name, options);
  }

  /** containerd is killed, and started again after something else has happened. */
  async killContainerd(meanwhile = () => {}): Promise<void> {
    await this.containerd.stop("SIGKILL");
    meanwhile();
    this.#close();
    await this.containerd.launch();
    const { client, close } = connectCri(this.containerd.socket);
    this.cri = client;
    this.#close = close;
    await this.#awaitReady();
  }

  /** Stops and removes every pod, as draining a node does. */
  async drain(): Promise<void> {
    const { items } = await this.cri.listPodSandbox({});
    await Promise.all(
      items.map(async ({ id }) => {
        await this.cri.stopPodSandbox({ podSandboxId: id });
        await this.cri.removePodSandbox({ podSandboxId: id });
      }),
    );
  }

  /** What is left of pods in containerd's hands: tasks, containers, mounts, links, leases. */
  async leftovers(): Promise<string[]> {
    const ctr = (...args: string[]) => this.containerd.ctr(["--namespace", NAMESPACE, ...args]);
    const found: string[] = [];
    for (const kind of ["task", "container"]) {
      found.push(...(await ctr(kind, "list", "-q")).stdout.split("\n"));
    }
    const state = `${this.containerd.directory}/state/`;
    const mounts = listMounts().map(({ mountPoint }) => mountPoint);
    found.push(...mounts.filter((point) => point.startsWith(state)));
    const links = await this.network.inHost(["ip", "-oneline", "link", "show", "type", "veth"]);
    found.push(...links.split("\n"));
    return found.filter((line) => line !== "");
  }

  async end(): Promise<void> {
    try {
      await this.drain();
    } finally {
      this.#close();
      await this.containerd.close();
      await this.network.end();
      await this.world.end();
    }
  }

  async #awaitReady(): Promise<void> {
    for (const deadline = Date.now() + READY_MS; ; await sleep(100)) {
      const why = await this.#whyNotReady();
      if (why === "") return;
      if (Date.now() > deadline) {
        throw new Error(`the node is not ready: ${why}\n${this.containerd.log().slice(-4000)}`);
      }
    }
  }

  async #whyNotReady(): Promise<string> {
    try {
      const { status } = await this.cri.status({});
      // containerd 2 has one of its own, for what of its host and configuration is deprecated.
      const needed = (status?.conditions ?? []).filter(({ type }) => /Ready$/.test(type));
      const failed = needed.filter((one) => !one.status);
      return failed.map(({ type, message }) => `${type}: ${message}`).join("; ");
    } catch (error) {
      // The socket is there before its services are.
      return String(error);
    }
  }
}

function podNetwork(network: NetworkWorld): Record<string, unknown> {
  return {
    cniVersion: "0.4.0",
    name: "pods",
    plugins: [
      {
        ...{ type: "bridge", bridge: "pods0", isGateway: true, mtu: 1400 },
        ipam: {
          type: "host-local",
          dataDir: network.leases,
          ranges: [[{ subnet: "10.93.0.0/24" }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
    ],
  };
}
