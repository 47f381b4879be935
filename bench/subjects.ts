// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGuest } from "../guest/image/open.ts";
import { run } from "../src/linux/run.ts";
import { now } from "../src/logging/moments.ts";
import { qemuVersion } from "../src/vmm/qemu/version.ts";
import { type Moments, newMomentsFile, readMoments } from "./moments.ts";

const repository = join(import.meta.dirname, "..");
const mukon = [process.execPath, "--", join(repository, "dist", "mukon.cjs")];
const MARKER = "first output";
const configurations = mkdtempSync(join(tmpdir(), "mukon-bench-configurations-"));
process.once("exit", () => rmSync(configurations, { recursive: true, force: true }));

/** One start: milliseconds since that of the command. */
export interface Sample {
  outputMs: number;
  endMs: number;
  /** Empty for what is not mukon. */
  moments: Moments;
}

/** Something whose time from start to first output is measured. */
export interface Subject {
  name: string;
  once(): Promise<Sample>;
  close(): Promise<void>;
}

export type Start = "cold" | "clone";

/**
 * An environment in which `mukon run` boots a guest, or clones one from a template that is there.
 * Nothing is made in the background meanwhile.
 */
function environmentOf(start: Start, qemuPath: string | undefined): NodeJS.ProcessEnv {
  const path = join(mkdtempSync(join(configurations, "m-")), "configuration.toml");
  const qemu = qemuPath === undefined ? "" : `[hypervisor.qemu]\npath = "${qemuPath}"\n`;
  writeFileSync(path, `[factory]\nenable_template = ${start === "clone"}\n${qemu}`);
  return { ...process.env, MUKON_CONFIG: path, MUKON_BUILD_TEMPLATES: "never" };
}

/** The whole of `mukon run`: command line, shim, VM, container; with another QEMU than the usual one. */
export async function mukonSubject(start: Start, qemuPath?: string): Promise<Subject> {
  const env = environmentOf(start, qemuPath);
  if (start === "clone") await run([...mukon, "guest", "template", "build"], { env });
  const argv = [...mukon, "run", "--rm", "busybox", "echo", MARKER];
  const qemu = qemuPath === undefined ? "" : `, QEMU ${await qemuVersion(qemuPath)}`;
  return {
    name: `mukon run, ${start === "cold" ? start : `clone (${await memoryOfClones(env)})`}${qemu}`,
    once: async () => {
      const file = newMomentsFile();
      const sample = await timeToOutput(argv, MARKER, { ...env, MUKON_MOMENTS_FILE: file });
      return { ...sample, moments: readMoments(file, sample.beganAt) };
    },
    close: async () => {},
  };
}

/** How clones come by their memory here: "copied" or "shared". */
async function memoryOfClones(env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await run([...mukon, "guest", "template", "info"], { env });
  return /^memory\s+(\w+)/im.exec(stdout)?.[1] ?? "unknown";
}

/** QEMU with the same kernel and initramfs, which switches off at once: what no runtime can beat. */
export async function bareQemuSubject(accelerator: string): Promise<Subject> {
  const guest = await openGuest();
  const argv = [
    ...[
      "qemu-system-x86_64",
      "-accel",
      accelerator,
      "-cpu",
      accelerator === "kvm" ? "host" : "max",
    ],
    ...[
      "-machine",
      "q35,usb=off,sata=off,smbus=off,vmport=off",
      "-m",
      "512",
      "-nodefaults",
      "-no-reboot",
    ],
    ...[
      "-display",
      "none",
      "-serial",
      "stdio",
      "-kernel",
      guest.kernelPath,
      "-initrd",
      guest.initrdPath,
    ],
    ...[
      "-append",
      "console=ttyS0 quiet cryptomgr.notests mitigations=off 8250.nr_uarts=1 audit=0 mukon_probe=1",
    ],
  ];
  return {
    name: `QEMU alone (${accelerator})`,
    once: () => timeToOutput(argv, "mukon-probe-ok"),
    close: async () => {},
  };
}

/** The same image, run by runc: an ordinary container, without a VM. */
export async function runcSubject(): Promise<Subject> {
  const guest = await openGuest();
  const directory = mkdtempSync(join(tmpdir(), "mukon-bench-"));
  const rootfs = join(directory, "rootfs");
  mkdirSync(rootfs);
  await run(["runc", "spec"], { cwd: directory });
  await run(["mount", "-t", "erofs", "-o", "loop,ro", guest.busyboxPath, rootfs]);
  const spec = JSON.parse(readFileSync(join(directory, "config.json"), "utf8"));
  spec.process.terminal = false;
  spec.process.args = ["echo", MARKER];
  writeFileSync(join(directory, "config.json"), JSON.stringify(spec));
  let count = 0;
  return {
    name: "runc run",
    once: () =>
      timeToOutput(
        ["runc", "run", "--bundle", directory, `mukon-bench-${process.pid}-${count++}`],
        MARKER,
      ),
    close: async () => {
      await run(["umount", rootfs], { allowFailure: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs a command to its end, and takes note of when `marker` was seen. */
async function timeToOutput(
  argv: readonly string[],
  marker: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Sample & { beganAt: number }> {
  const [program = "", ...args] = argv;
  const beganAt = now();
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
  let seen = "";
  let errors = "";
  let outputMs: number | undefined;
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  child.stdout.on("data", (chunk: Buffer) => {
    seen += chunk.toString();
    if (seen.includes(marker)) outputMs ??= now() - beganAt;
  });
  await new Promise((done) => child.once("close", done));
  if (outputMs === undefined) {
    throw new Error(`${program} did not print ${marker}: ${errors || seen}`);
  }
  return { outputMs, endMs: now() - beganAt, moments: new Map(), beganAt };
}
