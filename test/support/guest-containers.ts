// SPDX-License-Identifier: Apache-2.0
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  AgentService,
  type CreateContainerRequestSchema,
  type StorageSchema,
} from "../../src/generated/agent/agent_pb.ts";
import type { MountSchema, SpecSchema } from "../../src/generated/agent/oci_pb.ts";
import { rootfsStorages } from "../../src/guest-protocol/rootfs.ts";
import type { TtrpcClient } from "../../src/ttrpc/client.ts";
import { pciPathOf } from "./guest-vm.ts";

const TIMEOUT_MS = 60_000;
const MAX_READ_BYTES = 256 * 1024;
const CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD"];

export type SpecInit = MessageInitShape<typeof SpecSchema>;
export type StorageInit = MessageInitShape<typeof StorageSchema>;
export type ContainerInit = MessageInitShape<typeof CreateContainerRequestSchema>;

export interface ContainerOptions {
  readonly args: readonly string[];
  readonly isTerminal?: boolean;
  readonly env?: readonly string[];
  readonly sandboxPidns?: boolean;
  readonly resources?: NonNullable<NonNullable<SpecInit["Linux"]>["Resources"]>;
  readonly isReadOnly?: boolean;
  /** PCI path of the disk with the root file system; default: the first disk. */
  readonly layer?: string;
  /** PCI path of an ext4 disk that takes what the container writes; default: memory. */
  readonly scratch?: string;
  readonly storages?: readonly StorageInit[];
  readonly mounts?: readonly MessageInitShape<typeof MountSchema>[];
}

/** Calls of the agent in the order that a runtime makes them. */
export class GuestContainers {
  client: TtrpcClient;

  constructor(client: TtrpcClient) {
    this.client = client;
  }

  async create(id: string, options: ContainerOptions): Promise<void> {
    await this.client.call(AgentService.method.createContainer, createRequest(id, options), {
      timeoutMs: TIMEOUT_MS,
    });
  }

  async run(id: string, options: ContainerOptions): Promise<void> {
    await this.create(id, options);
    await this.client.call(AgentService.method.startContainer, { containerId: id }, limits);
  }

  async exec(id: string, execId: string, process: ContainerOptions): Promise<void> {
    await this.client.call(
      AgentService.method.execProcess,
      { containerId: id, execId, process: processInit(process) },
      limits,
    );
  }

  async wait(id: string, execId = id): Promise<number> {
    const reply = await this.client.call(
      AgentService.method.waitProcess,
      { containerId: id, execId },
      limits,
    );
    return reply.status;
  }

  async signal(id: string, signal: number, execId = ""): Promise<void> {
    await this.client.call(
      AgentService.method.signalProcess,
      { containerId: id, execId, signal },
      limits,
    );
  }

  /** One piece; empty at the end. */
  async read(id: string, execId = id, stream: "Stdout" | "Stderr" = "Stdout"): Promise<Buffer> {
    const method = AgentService.method[`read${stream}`];
    const request = { containerId: id, execId, len: MAX_READ_BYTES };
    return Buffer.from((await this.client.call(method, request)).data);
  }

  async readAll(id: string, execId = id, stream: "Stdout" | "Stderr" = "Stdout"): Promise<string> {
    const parts: Buffer[] = [];
    for (;;) {
      const part = await this.read(id, execId, stream);
      if (part.length === 0) return Buffer.concat(parts).toString("utf8");
      parts.push(part);
    }
  }

  /** Output until `text` is there. */
  async readUntil(text: string, id: string, execId = id): Promise<string> {
    let seen = "";
    while (!seen.includes(text)) {
      const part = await this.read(id, execId);
      if (part.length === 0) throw new Error(`the output ended before "${text}": ${seen}`);
      seen += part.toString("utf8");
    }
    return seen;
  }

  async write(data: string | Buffer, id: string, execId = id): Promise<number> {
    const request = { containerId: id, execId, data: Buffer.from(data) };
    return (await this.client.call(AgentService.method.writeStdin, request, limits)).len;
  }

  async closeInput(id: string, execId = id): Promise<void> {
    await this.client.call(AgentService.method.closeStdin, { containerId: id, execId }, limits);
  }

  async remove(id: string): Promise<void> {
    await this.client.call(AgentService.method.removeContainer, { containerId: id }, limits);
  }

  /** Runs to the end and gives output and exit code; removes the container. */
  async output(
    id: string,
    args: readonly string[],
    options: Partial<ContainerOptions> = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    await this.run(id, { ...options, args });
    const [stdout, stderr] = await Promise.all([
      this.readAll(id),
      options.isTerminal === true ? "" : this.readAll(id, id, "Stderr"),
    ]);
    const code = await this.wait(id);
    await this.remove(id);
    return { code, stdout, stderr };
  }
}

const limits = { timeoutMs: TIMEOUT_MS };

function createRequest(id: string, options: ContainerOptions): ContainerInit {
  const scratch = options.scratch === undefined ? {} : { scratch: { source: options.scratch } };
  const layers = [{ source: options.layer ?? pciPathOf(0) }];
  const root = rootfsStorages({ containerId: id, layers, ...scratch });
  return {
    containerId: id,
    execId: id,
    storages: [...root.storages, ...(options.storages ?? [])],
    sandboxPidns: options.sandboxPidns ?? false,
    OCI: {
      Version: "1.0.2",
      Process: processInit(options),
      Root: { Path: root.rootPath, Readonly: options.isReadOnly ?? false },
      Mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
        { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
        { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
        { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance"] },
        ...(options.mounts ?? []),
      ],
      Linux: {
        Namespaces: [{ Type: "mount" }, { Type: "ipc" }, { Type: "uts" }, { Type: "cgroup" }],
        MaskedPaths: ["/proc/kcore"],
        ...(options.resources === undefined ? {} : { Resources: options.resources }),
      },
    },
  };
}

function processInit(options: ContainerOptions): NonNullable<SpecInit["Process"]> {
  const sets = { Bounding: CAPABILITIES, Effective: CAPABILITIES, Permitted: CAPABILITIES };
  return {
    Terminal: options.isTerminal ?? false,
    Args: [...options.args],
    Env: ["PATH=/bin:/usr/bin:/sbin", "TERM=xterm", ...(options.env ?? [])],
    Cwd: "/",
    User: { UID: 0, GID: 0 },
    Capabilities: sets,
    NoNewPrivileges: true,
  };
}
