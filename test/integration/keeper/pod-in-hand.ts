// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { socketPair } from "../../../src/linux/descriptors.ts";
import { sealedFile, sizedMemory } from "../../../src/linux/memory-file.ts";
import { KeeperClient } from "../../../src/sandbox/keeper-client.ts";
import type { KeeperEvent } from "../../../src/sandbox/messages/events.ts";
import type { QemuLaunchInput } from "../../../src/vmm/qemu/launch-input.ts";
import { planQemuLaunch } from "../../../src/vmm/qemu/launch-plan.ts";
import { processorTable } from "../../../src/vmm/qemu/processor-table.ts";

const QEMU = "/usr/bin/qemu-system-x86_64";
const VMM_ID = 1_879_113_729;
const KEEPER_ID = 1_879_113_730;
const MEMORY_MIB = 512;

export interface PodInHand {
  keeper: KeeperClient;
  events: KeeperEvent[];
  vmm: ChildProcess;
  keeperProcess: ChildProcess;
  output: { vmm: string; keeper: string };
  /** Ends all processes of the pod. */
  stop: () => Promise<void>;
}

export interface PodOptions {
  /** Directory of a guest: kernel, initrd and image. */
  guestDirectory: string;
  /** Program of the keeper, which an unprivileged user can read. */
  keeperProgram: string;
  plan?: Partial<QemuLaunchInput>;
}

/** A VMM and its keeper, started as a shim does it, but for the identity block and the journal. */
export function startPod(options: PodOptions): PodInHand {
  const pairs = { control: socketPair(), descriptors: socketPair(), qmp: socketPair() };
  const guestPairs = { agent: socketPair(), console: socketPair() };
  const file = (name: string): string => join(options.guestDirectory, name);
  const files = ["vmlinux", "initrd", "image.erofs"].map((name) => openSync(file(name), "r"));
  const plan = planQemuLaunch({
    qemuPath: QEMU,
    accelerator: "tcg",
    vcpus: 2,
    memoryMib: MEMORY_MIB,
    imageSizeBytes: statSync(file("image.erofs")).size,
    ...options.plan,
  });
  const memoryMib = options.plan?.memoryMib ?? MEMORY_MIB;
  files.push(
    sizedMemory(memoryMib * 1024 * 1024, {
      name: "guest-memory",
      owner: { uid: VMM_ID, gid: VMM_ID },
    }),
    sealedFile(processorTable(2), "processors"),
  );
  const output = { vmm: "", keeper: "" };
  const vmm = startAs(VMM_ID, plan.argv, [
    ...[pairs.qmp[1], guestPairs.agent[1], guestPairs.console[1]],
    ...files,
  ]);
  const keeperProcess = startAs(
    KEEPER_ID,
    [process.execPath, options.keeperProgram],
    [
      pairs.control[1],
      pairs.descriptors[1],
      pairs.qmp[0],
      guestPairs.agent[0],
      guestPairs.console[0],
    ],
  );
  for (const name of ["vmm", "keeper"] as const) {
    const child = name === "vmm" ? vmm : keeperProcess;
    child.stdout?.on("data", (chunk) => {
      output[name] += chunk;
    });
    child.stderr?.on("data", (chunk) => {
      output[name] += chunk;
    });
  }
  const handedOver = [...files, ...Object.values(guestPairs).flat(), ...pairs.qmp];
  for (const fd of [...handedOver, pairs.control[1], pairs.descriptors[1]]) closeSync(fd);
  const events: KeeperEvent[] = [];
  const keeper = new KeeperClient({
    control: new Socket({ fd: pairs.control[0], readable: true, writable: true }),
    descriptorSocketFd: pairs.descriptors[0],
    onEvent: (event) => events.push(event),
  });
  const stop = async (): Promise<void> => {
    keeper.close();
    vmm.kill("SIGKILL");
    keeperProcess.kill("SIGKILL");
    await Promise.all([ended(vmm), ended(keeperProcess)]);
    closeSync(pairs.descriptors[0]);
  };
  return { keeper, events, vmm, keeperProcess, output, stop };
}

function startAs(id: number, argv: readonly string[], descriptors: number[]): ChildProcess {
  const walls = ["--reuid", String(id), "--regid", String(id), "--clear-groups", "--nnp"];
  const capabilities = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"];
  return spawn("setpriv", [...walls, ...capabilities, "--pdeathsig", "KILL", "--", ...argv], {
    stdio: ["ignore", "pipe", "pipe", ...descriptors],
    env: { PATH: process.env.PATH ?? "" },
    cwd: "/",
  });
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}
