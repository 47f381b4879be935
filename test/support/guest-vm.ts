// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type GuestAssets, openGuest } from "../../guest/image/open.ts";
import { Health } from "../../src/generated/agent/health_pb.ts";
import { TtrpcClient } from "../../src/ttrpc/client.ts";
import { bayArguments, fillBay } from "../../src/vmm/qemu/bay.ts";

const BOOT_TIMEOUT_MS = 90_000;
const CHECK_TIMEOUT_MS = 60_000;
const COMMAND_LINE =
  "console=ttyS0 quiet panic=-1 cryptomgr.notests mitigations=off audit=0 swiotlb=noforce";
/** Slots of the root ports, as the first part of a PCI path. */
const FIRST_PORT_SLOT = 0x0a;
const PORTS = 4;

export interface GuestDisk {
  readonly path: string;
  readonly isReadOnly: boolean;
}

export interface GuestVmOptions {
  readonly memoryMib?: number;
  readonly processors?: number;
  /** Plugged into the first root ports, in order: their PCI paths are `0a/00`, `0b/00`, … */
  readonly disks?: readonly GuestDisk[];
  readonly guest?: GuestAssets;
}

/** A guest in a plain QEMU under emulation, for tests of the agent without anything around it. */
export class GuestVm {
  readonly #directory: string;
  readonly #qemu: ChildProcess;
  #console = "";
  #socket: Socket | undefined;
  #client: TtrpcClient | undefined;

  private constructor(directory: string, qemu: ChildProcess) {
    this.#directory = directory;
    this.#qemu = qemu;
    const collect = (data: Buffer): void => {
      this.#console = (this.#console + data.toString("latin1")).slice(-100_000);
    };
    qemu.stdout?.on("data", collect);
    qemu.stderr?.on("data", collect);
  }

  /** Resolves when the agent answers. */
  static async start(options: GuestVmOptions = {}): Promise<GuestVm> {
    const guest = options.guest ?? (await openGuest());
    const directory = await mkdtemp(join(tmpdir(), "mukon-vm-"));
    // A test run that is killed must leave no VM behind.
    const qemu = ["--pdeathsig", "KILL", "--", "qemu-system-x86_64"];
    const child = spawn("setpriv", [...qemu, ...(await qemuArguments(directory, guest, options))], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const vm = new GuestVm(directory, child);
    try {
      await vm.reconnect();
      return vm;
    } catch (error) {
      const text = vm.console.slice(-4000);
      await vm.stop();
      throw new Error(`the guest did not come up; its console:\n${text}`, { cause: error });
    }
  }

  get client(): TtrpcClient {
    if (this.#client === undefined) throw new Error("not connected");
    return this.#client;
  }

  /** What the guest and QEMU printed last. */
  get console(): string {
    return this.#console;
  }

  get isRunning(): boolean {
    return this.#qemu.exitCode === null && this.#qemu.signalCode === null;
  }

  /** Drops the connection, if there is one, and makes a new one. */
  async reconnect(): Promise<TtrpcClient> {
    this.#client?.close();
    this.#socket?.destroy();
    this.#socket = await this.#dial(join(this.#directory, "agent"));
    this.#client = new TtrpcClient(this.#socket);
    await this.#client.call(Health.method.check, {}, { timeoutMs: CHECK_TIMEOUT_MS });
    return this.#client;
  }

  /** Plugs a disk into the root port with this number while the guest runs. */
  async plug(disk: GuestDisk, port: number): Promise<void> {
    const drive = `plug${port}`;
    await this.#control(async (replies) => {
      await replies.ask({ execute: "blockdev-add", arguments: nodeOf(disk, drive) });
      const device = { driver: "virtio-blk-pci", bus: `rp${port}`, drive };
      await replies.ask({ execute: "device_add", arguments: { ...device, id: `disk${port}` } });
    });
  }

  /** Puts a disk into the bay while the guest runs, of which nothing tells it. */
  async fillBay(disk: GuestDisk): Promise<void> {
    await this.#control(async (replies) => {
      await replies.ask({ execute: "blockdev-add", arguments: nodeOf(disk, "content") });
      await fillBay(
        { execute: async (execute, parameters) => replies.ask({ execute, arguments: parameters }) },
        "content",
      );
    });
  }

  async #control(work: (replies: Replies) => Promise<void>): Promise<void> {
    const monitor = await this.#dial(join(this.#directory, "monitor"));
    const replies = new Replies(monitor);
    await replies.next("QMP");
    await replies.ask({ execute: "qmp_capabilities" });
    await work(replies);
    monitor.destroy();
  }

  async stop(): Promise<void> {
    this.#client?.close();
    this.#socket?.destroy();
    if (this.isRunning) {
      this.#qemu.kill("SIGKILL");
      await once(this.#qemu, "exit");
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #dial(path: string): Promise<Socket> {
    const deadline = Date.now() + BOOT_TIMEOUT_MS;
    for (;;) {
      if (!this.isRunning) throw new Error("QEMU has ended");
      const socket = connect(path);
      const isConnected = await once(socket, "connect").then(
        () => true,
        () => false,
      );
      if (isConnected) return socket;
      if (Date.now() > deadline) throw new Error(`nobody listens on ${path}`);
      await delay(20);
    }
  }
}

/** PCI path of the disk in the root port with this number, as storages name it. */
export function pciPathOf(port: number): string {
  return `${(FIRST_PORT_SLOT + port).toString(16).padStart(2, "0")}/00`;
}

async function qemuArguments(
  directory: string,
  guest: GuestAssets,
  options: GuestVmOptions,
): Promise<string[]> {
  const { size } = await stat(guest.imagePath);
  const image = `memory-backend-file,id=image,mem-path=${guest.imagePath},size=${size}`;
  const ports = Array.from({ length: PORTS }, (_, index) => {
    const slot = (FIRST_PORT_SLOT + index).toString(16);
    return ["-device", `pcie-root-port,id=rp${index},chassis=${index + 1},addr=${slot}`];
  });
  const socket = (id: string): string =>
    `socket,id=${id},path=${join(directory, id)},server=on,wait=off`;
  const memory = options.memoryMib ?? 512;
  return [
    ..."-nodefaults -no-user-config -display none -no-reboot -serial stdio -cpu max".split(" "),
    ..."-M q35,sata=off,usb=off,smbus=off,vmport=off -accel tcg,tb-size=64".split(" "),
    ...["-m", `${memory}M,slots=2,maxmem=${memory + 2048}M`, "-smp", `${options.processors ?? 1}`],
    ...["-kernel", guest.kernelPath, "-initrd", guest.initrdPath, "-append", COMMAND_LINE],
    ...["-object", `${image},share=on,readonly=on`, "-device", "virtio-pmem-pci,memdev=image"],
    ...["-device", "virtio-serial-pci,id=serial", "-chardev", socket("agent")],
    ...["-device", "virtserialport,bus=serial.0,nr=1,chardev=agent,name=mukon.agent"],
    ...["-chardev", socket("monitor"), "-mon", "chardev=monitor,mode=control"],
    ...ports.flat(),
    ...bayArguments(),
    ...(options.disks ?? []).flatMap(diskArguments),
  ];
}

function nodeOf(disk: GuestDisk, name: string): Record<string, unknown> {
  const file = { driver: "file", filename: disk.path };
  return { driver: "raw", "node-name": name, "read-only": disk.isReadOnly, file };
}

function diskArguments(disk: GuestDisk, index: number): string[] {
  const drive = `id=disk${index},if=none,format=raw,file=${disk.path}`;
  const access = disk.isReadOnly ? ",readonly=on" : "";
  return ["-drive", drive + access, "-device", `virtio-blk-pci,drive=disk${index},bus=rp${index}`];
}

/** Lines of QEMU's monitor. */
class Replies {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = linesOf(socket);
  }

  async ask(command: object): Promise<void> {
    this.#socket.write(`${JSON.stringify(command)}\n`);
    await this.next("return");
  }

  /** Skips events until a line has this member. */
  async next(member: string): Promise<void> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error("QEMU's monitor closed");
      const reply = JSON.parse(value) as Record<string, unknown>;
      if (reply.error !== undefined) throw new Error(`QEMU: ${JSON.stringify(reply.error)}`);
      if (reply[member] !== undefined) return;
    }
  }
}

async function* linesOf(socket: Socket): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of socket) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}
