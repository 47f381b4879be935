// SPDX-License-Identifier: Apache-2.0
import { type StdioOptions, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as v from "valibot";
import { writeFileAtomic } from "../../src/linux/atomic-file.ts";
import { withLock } from "../../src/linux/lock.ts";
import { isSameProcess } from "../../src/linux/process-status.ts";
import { run } from "../../src/linux/run.ts";
import { loadMachineState } from "../../src/vmm/qemu/machine-state.ts";
import { type BuiltHost, buildHost, machinePaths } from "./build.ts";
import { TestHostError } from "./error.ts";
import { lostHost } from "./lost.ts";
import { IMAGE_FILES, runDirectory, SNAPSHOT_FILES } from "./names.ts";
import { commandPort, type Emulator, killEmulator, startEmulator } from "./qemu.ts";
import { sharedDiskPaths, writeSharedDisks } from "./shared-disks.ts";
import { remoteCommand, type SshTarget, sshArguments } from "./ssh.ts";

const LOAD_TIMEOUT_MS = 60_000;
const REBOOT_TIMEOUT_MS = 10 * 60_000;
const POLL_MS = 500;
const ANSWER_TIMEOUT_MS = 120_000;
const OF_SSH = 255;
/**
 * A program of mukon's takes its time to start on an emulated processor, most of all where others use this
 * machine too.
 */
const PATIENCE = ["env", "MUKON_FILTER_TIMEOUT_MS=300000"];

const Record = v.object({
  pid: v.number(),
  startTime: v.string(),
  port: v.number(),
  imagePath: v.string(),
});
type HostRecord = v.InferOutput<typeof Record>;

export interface CommandOptions {
  user?: string;
  directory?: string;
  isTerminal?: boolean;
  stdio?: StdioOptions;
  /** Kills the connection, and with it the command, after this time. */
  timeoutMs?: number;
}

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A test host that runs. */
export class TestHost {
  readonly #record: HostRecord;

  constructor(record: HostRecord) {
    this.#record = record;
  }

  /** The host that `up` has started, if it still runs. */
  static current(): TestHost | undefined {
    const record = readRecord();
    if (record === undefined) return undefined;
    return isSameProcess(record.pid, BigInt(record.startTime)) ? new TestHost(record) : undefined;
  }

  /** ssh's whole argument vector for a command in the host. */
  commandLine(argv: readonly string[], options: CommandOptions = {}): string[] {
    const target = this.#target(options.user ?? "root");
    const words = [...PATIENCE, ...argv];
    return [...sshArguments(target, options), remoteCommand(words, options.directory)];
  }

  /**
   * Runs a command in the host; what it prints goes to `stdio`, or comes back.
   * @throws TestHostError when the host does not answer any more
   */
  async run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const result = await this.#try(argv, options);
    // Of ssh itself, or of the command.
    if (result.code !== OF_SSH) return result;
    await this.#endSharedConnection(options.user ?? "root");
    const alive = await this.#try(["true"], { directory: "/", timeoutMs: ANSWER_TIMEOUT_MS });
    if (alive.code !== 0) throw await lostHost();
    return result;
  }

  async #try(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const [program = "ssh", ...args] = this.commandLine(argv, options);
    const child = spawn(program, args, { stdio: options.stdio ?? ["ignore", "pipe", "pipe"] });
    const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    child.stdout?.on("data", (chunk: Buffer) => chunks.stdout.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => chunks.stderr.push(chunk));
    const { timeoutMs } = options;
    const kill = (): void => void child.kill("SIGKILL");
    const timer = timeoutMs === undefined ? undefined : setTimeout(kill, timeoutMs);
    // Not "close": the shared connection's own process keeps the standard error open.
    const code = await new Promise<number | null>((done, fail) => {
      child.once("error", fail);
      child.once("exit", done);
    });
    clearTimeout(timer);
    const text = (parts: Buffer[]): string => Buffer.concat(parts).toString();
    return { code, stdout: text(chunks.stdout), stderr: text(chunks.stderr) };
  }

  /** Runs a command that must succeed; its output. */
  async output(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options);
    if (code === 0) return stdout;
    throw new TestHostError(`${argv.join(" ")} ended with ${code}: ${stderr || stdout}`);
  }

  /** The clock, the checkout and the guest are set right; after a start and after a reboot. */
  async arrive(): Promise<void> {
    const now = Math.round(Date.now() / 1000);
    await this.output(["testhost-arrive", String(now)], { directory: "/" });
  }

  /** Restarts the host's system; disks keep their content. */
  async reboot(): Promise<void> {
    const bootId = ["cat", "/proc/sys/kernel/random/boot_id"];
    const former = await this.output(bootId, { directory: "/" });
    await this.#try(["systemctl", "reboot"], { directory: "/" });
    await this.#endSharedConnection("root");
    const deadline = Date.now() + REBOOT_TIMEOUT_MS;
    while (Date.now() < deadline) {
      await sleep(POLL_MS);
      const answer = await this.#try(bootId, { directory: "/", timeoutMs: 60_000 });
      if (answer.code === 0 && answer.stdout !== former) return this.arrive();
    }
    throw await lostHost();
  }

  /** Ends the host; nothing of what it wrote is kept. */
  async down(): Promise<void> {
    await killEmulator({ pid: this.#record.pid, startTime: BigInt(this.#record.startTime) });
    await rm(runDirectory(), { recursive: true, force: true });
  }

  /** One whose other end is gone would keep later commands waiting for its time-out. */
  async #endSharedConnection(user: string): Promise<void> {
    await run([...sshArguments(this.#target(user)), "-O", "exit"], { allowFailure: true });
  }

  #target(user: string): SshTarget {
    const { imagePath, port } = this.#record;
    return {
      port,
      user,
      clientKey: join(imagePath, IMAGE_FILES.clientKey),
      knownHosts: join(imagePath, IMAGE_FILES.knownHosts),
      controlPath: join(runDirectory(), `ssh-${user}`),
    };
  }
}

/** Starts a host out of its snapshot, which is made when there is none. */
export async function startHost(options: {
  /** Whether it ends with this process, however that ends. */
  endsWithCaller: boolean;
  log: (line: string) => void;
}): Promise<TestHost> {
  const built = await buildHost(options.log);
  await mkdir(runDirectory(), { recursive: true, mode: 0o700 });
  return withLock(`${runDirectory()}.lock`, async () => {
    if (TestHost.current() !== undefined) {
      throw new TestHostError("a test host runs already", {
        hint: "end it: scripts/testhost down",
      });
    }
    await rm(runDirectory(), { recursive: true, force: true });
    await mkdir(runDirectory(), { mode: 0o700 });
    return resume(built, options.endsWithCaller);
  });
}

async function resume(built: BuiltHost, endsWithCaller: boolean): Promise<TestHost> {
  const { imagePath, snapshotPath } = built;
  const runPath = runDirectory();
  await writeSharedDisks(sharedDiskPaths(runPath));
  const diskPath = join(snapshotPath, SNAPSHOT_FILES.disk);
  const paths = machinePaths({ imagePath, diskPath, runPath, isDiskWritten: false });
  const state = openSync(join(snapshotPath, SNAPSHOT_FILES.state), "r");
  let emulator: Emulator | undefined;
  try {
    emulator = await startEmulator({ paths, runPath, endsWithCaller, state });
    await loadMachineState(emulator.qmp, { inheritedDescriptor: 3, timeoutMs: LOAD_TIMEOUT_MS });
    await emulator.qmp.execute("cont");
    const { pid, startTime } = emulator.handle;
    const port = await commandPort(emulator.qmp);
    const record = { pid, startTime: String(startTime), port, imagePath };
    writeFileAtomic(recordPath(), JSON.stringify(record), { mode: 0o600 });
    const host = new TestHost(record);
    await host.arrive();
    return host;
  } catch (error) {
    if (emulator !== undefined) await killEmulator(emulator.handle);
    throw error;
  } finally {
    closeSync(state);
    emulator?.qmp.close();
  }
}

function recordPath(): string {
  return join(runDirectory(), "host.json");
}

function readRecord(): HostRecord | undefined {
  try {
    return v.parse(Record, JSON.parse(readFileSync(recordPath(), "utf8")));
  } catch {
    return undefined;
  }
}
