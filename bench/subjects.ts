// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGuest } from "../guest/image/open.ts";
import { run } from "../src/linux/run.ts";
import { qemuVersion } from "../src/vmm/qemu/version.ts";
import { newMomentsFile, readMoments } from "./moments.ts";
import { type Sample, timeToOutput } from "./time-to-output.ts";

const repository = join(import.meta.dirname, "..");
/** The command line of this checkout, as an argument vector. */
export const mukonCommand = [process.execPath, "--", join(repository, "dist", "mukon.cjs")];
const MARKER = "first output";
const configurations = mkdtempSync(join(tmpdir(), "mukon-bench-configurations-"));
process.once("exit", () => rmSync(configurations, { recursive: true, force: true }));

/** Something whose time from start to first output is measured. */
export interface Subject {
  name: string;
  /** When `signal` is aborted the command is asked to end, and waited for. */
  once(signal: AbortSignal): Promise<Sample>;
  close(): Promise<void>;
}

export type Start = "cold" | "clone";

/**
 * An environment in which `mukon run` boots a guest, or clones one from a template that is there.
 * Nothing is made in the background meanwhile.
 */
export function environmentOf(start: Start, qemuPath?: string): NodeJS.ProcessEnv {
  const path = join(mkdtempSync(join(configurations, "m-")), "configuration.toml");
  const qemu = qemuPath === undefined ? "" : `[hypervisor.qemu]\npath = "${qemuPath}"\n`;
  writeFileSync(path, `[factory]\nenable_template = ${start === "clone"}\n${qemu}`);
  return { ...process.env, MUKON_CONFIG: path, MUKON_BUILD_TEMPLATES: "never" };
}

/** The whole of `mukon run`: command line, shim, VM, container; with another QEMU than the usual one. */
export async function mukonSubject(start: Start, qemuPath?: string): Promise<Subject> {
  const env = environmentOf(start, qemuPath);
  if (start === "clone") await run([...mukonCommand, "guest", "template", "build"], { env });
  const argv = [...mukonCommand, "run", "--rm", "busybox", "echo", MARKER];
  const qemu = qemuPath === undefined ? "" : `, QEMU ${await qemuVersion(qemuPath)}`;
  return {
    name: `mukon run, ${start === "cold" ? start : `clone (${await memoryOfClones(env)})`}${qemu}`,
    once: async (signal) => {
      const file = newMomentsFile();
      const sample = await timeToOutput(argv, {
        ...{ marker: MARKER, signal },
        env: { ...env, MUKON_MOMENTS_FILE: file },
      });
      return { ...sample, moments: readMoments(file, sample.beganAt) };
    },
    close: async () => {},
  };
}

/** How clones come by their memory here: "copied" or "shared". */
async function memoryOfClones(env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout } = await run([...mukonCommand, "guest", "template", "info"], { env });
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
    once: (signal) => timeToOutput(argv, { marker: "mukon-probe-ok", signal }),
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
    once: (signal) => {
      count += 1;
      const argv = ["runc", "run", "--bundle", directory, `mukon-bench-${process.pid}-${count}`];
      return timeToOutput(argv, { marker: MARKER, signal });
    },
    close: async () => {
      await run(["umount", rootfs], { allowFailure: true });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
