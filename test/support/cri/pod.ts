// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";
import { readSandboxState, type SandboxState } from "../../../src/host/sandbox-state.ts";
import {
  type ContainerConfigSchema,
  ContainerState,
  type ContainerStatus,
  type PodSandboxConfigSchema,
} from "../../generated/cri/runtime_pb.ts";
import type { CriNode } from "./node.ts";

const SHELL_IMAGE = "local.test/shell:1";
const STATE_MS = 30_000;

type Plain<Schema extends DescMessage> = Exclude<MessageInitShape<Schema>, Message>;
export type PodConfig = Plain<typeof PodSandboxConfigSchema>;
export type ContainerConfig = Plain<typeof ContainerConfigSchema>;

export interface PodOptions {
  config?: PodConfig;
  handler?: string;
}

/** One pod of a node, asked as kubelet asks. */
export class CriPod {
  readonly id: string;
  readonly config: PodConfig;
  readonly #node: CriNode;

  private constructor(node: CriNode, id: string, config: PodConfig) {
    this.#node = node;
    this.id = id;
    this.config = config;
  }

  static async run(node: CriNode, name: string, options: PodOptions = {}): Promise<CriPod> {
    const config = podConfig(node, name, options.config);
    const runtimeHandler = options.handler ?? "mukon";
    const { podSandboxId } = await node.cri.runPodSandbox({ config, runtimeHandler });
    return new CriPod(node, podSandboxId, config);
  }

  get logDirectory(): string {
    return this.config.logDirectory ?? "";
  }

  /** What mukon has of it on the host. */
  get state(): SandboxState {
    const state = readSandboxState(`k8s.io..${this.id}`);
    assert.ok(state, "the pod has no state");
    return state;
  }

  async ip(): Promise<string> {
    const { status } = await this.#node.cri.podSandboxStatus({ podSandboxId: this.id });
    assert.ok(status?.network?.ip, "the pod has no address");
    return status.network.ip;
  }

  async create(name: string, command: string[], config: ContainerConfig = {}): Promise<string> {
    const { containerId } = await this.#node.cri.createContainer({
      podSandboxId: this.id,
      config: {
        metadata: { name },
        image: { image: SHELL_IMAGE },
        command,
        logPath: `${name}.log`,
        ...config,
      },
      sandboxConfig: this.config,
    });
    return containerId;
  }

  async start(name: string, command: string[], config: ContainerConfig = {}): Promise<string> {
    const containerId = await this.create(name, command, config);
    await this.#node.cri.startContainer({ containerId });
    return containerId;
  }

  /** Output of a command that must succeed. */
  async exec(containerId: string, ...cmd: string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await this.#node.cri.execSync({
      containerId,
      cmd,
      timeout: 60n,
    });
    const errors = Buffer.from(stderr).toString();
    assert.equal(exitCode, 0, `${cmd.join(" ")}: ${errors}`);
    return Buffer.from(stdout).toString();
  }

  async sh(containerId: string, script: string): Promise<string> {
    return await this.exec(containerId, "sh", "-c", script);
  }

  async status(containerId: string): Promise<ContainerStatus> {
    const { status } = await this.#node.cri.containerStatus({ containerId });
    assert.ok(status);
    return status;
  }

  /** Waits (bounded) until the container has ended. */
  async awaitExit(containerId: string): Promise<ContainerStatus> {
    for (const deadline = Date.now() + STATE_MS; ; await sleep(100)) {
      const status = await this.status(containerId);
      if (status.state === ContainerState.CONTAINER_EXITED) return status;
      assert.ok(Date.now() < deadline, `container ${containerId} does not end`);
    }
  }

  /** What a container's log holds: lines of `<time> <stream> <tag> <text>`. */
  log(name: string): string {
    const path = join(this.logDirectory, `${name}.log`);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  async stop(): Promise<void> {
    await this.#node.cri.stopPodSandbox({ podSandboxId: this.id });
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.#node.cri.removePodSandbox({ podSandboxId: this.id });
  }
}

export function podConfig(node: CriNode, name: string, config: PodConfig = {}): PodConfig {
  const logDirectory = join(node.containerd.directory, "logs", name);
  mkdirSync(logDirectory, { recursive: true });
  return {
    metadata: { name, uid: `uid-${name}`, namespace: "tests" },
    hostname: name,
    logDirectory,
    dnsConfig: { servers: ["10.93.0.1"], searches: ["tests.local"], options: ["ndots:5"] },
    ...config,
    linux: { cgroupParent: `/mukon-e2e/${name}`, ...config.linux },
  };
}
