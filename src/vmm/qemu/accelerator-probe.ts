// SPDX-License-Identifier: Apache-2.0
import { closeSync, statSync } from "node:fs";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { run } from "../../linux/run.ts";
import { recallAccelerator, rememberAccelerator } from "./accelerator-cache.ts";
import { kernelCommandLine } from "./kernel-command-line.ts";
import type { Accelerator } from "./launch-input.ts";
import { CONFINED_ARGUMENTS, machineArguments } from "./machine.ts";
import { openForProbe } from "./probe-files.ts";
import type { ProbeRequest } from "./probe-request.ts";

const KVM_PATH = "/dev/kvm";
/**
 * A guest on working KVM is through in half a second. Below another emulator it takes ten, and an
 * answer that came too late is remembered until the next boot, so there is room.
 */
const DEFAULT_TIMEOUT_MS = 30_000;
const MEMORY_MIB = 256;
const ALIVE = "mukon-probe-ok";
/** User and group "nobody": it owns nothing, and the probe's guest is mukon's own. */
const NOBODY = 65_534;
const MAX_SAID_CHARACTERS = 300;

export interface ProbeResult {
  accelerator: Accelerator;
  /** One sentence for log and command line: why this one. */
  reason: string;
}

/**
 * Chooses the accelerator: a `/dev/kvm` that opens proves nothing, so a real guest is run on it,
 * confined as a pod's VMM is. The answer is kept for as long as nothing that it depends on
 * changes. Errors: `ACCELERATOR_UNAVAILABLE` when KVM is demanded and does not run a guest,
 * `ASSET_INVALID` when the guest's files cannot be opened.
 */
export async function probeAccelerator(request: ProbeRequest): Promise<ProbeResult> {
  if (request.wanted === "tcg") {
    return { accelerator: "tcg", reason: "Emulation was asked for." };
  }
  const failure = await kvmFailure(request);
  if (failure === undefined) return { accelerator: "kvm", reason: "KVM runs a guest here." };
  if (request.wanted === "kvm") {
    throw new MukonError("ACCELERATOR_UNAVAILABLE", `KVM does not work here: ${failure}`, {
      hint: 'Run: mukon check, or set accelerator = "auto" to fall back to emulation.',
    });
  }
  return { accelerator: "tcg", reason: `KVM cannot be used: ${failure}` };
}

/** Why KVM cannot be used, as a sentence; undefined when it runs a guest. */
async function kvmFailure(request: ProbeRequest): Promise<string | undefined> {
  const kvmPath = request.kvmPath ?? KVM_PATH;
  const node = statSync(kvmPath, { throwIfNoEntry: false });
  if (node === undefined) return `there is no ${kvmPath}.`;
  if (!node.isCharacterDevice()) return `${kvmPath} is no device.`;
  if (node.gid === 0 || (node.mode & 0o060) !== 0o060) {
    return `${kvmPath} does not let a group of its own in (mukon check --fix changes that).`;
  }
  const known = recallAccelerator(request, node);
  if (known !== undefined) return known.failure;
  const failure = await runGuest(request, node.gid);
  rememberAccelerator(request, node, failure);
  return failure;
}

/** Errors: `ASSET_INVALID`; a file that is missing says nothing about KVM. */
async function runGuest(request: ProbeRequest, kvmGid: number): Promise<string | undefined> {
  const opened: number[] = [];
  try {
    for (const path of [request.kernelPath, request.initrdPath]) opened.push(openForProbe(path));
    return await runOpened(request, { kvmGid, opened });
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

async function runOpened(
  request: ProbeRequest,
  { kvmGid, opened }: { kvmGid: number; opened: readonly number[] },
): Promise<string | undefined> {
  try {
    const result = await run(probeArguments(request, kvmGid), {
      descriptors: opened,
      timeoutMs: request.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      maxOutputBytes: 1024 * 1024,
      allowFailure: true,
      cwd: "/",
    });
    if (result.stdout.includes(ALIVE)) return undefined;
    const said = oneLine(result.stderr).slice(0, MAX_SAID_CHARACTERS) || "it said nothing";
    return `QEMU ended before its guest ran: ${said}`;
  } catch (error) {
    const { code, message } = asMukonError(error);
    if (code === "COMMAND_TIMEOUT") return "a guest starts on it, but does not get anywhere.";
    return message;
  }
}

/** The same walls as a pod's VMM has; exported for the test that looks at them. */
export function probeArguments(request: ProbeRequest, kvmGid: number): string[] {
  return [
    ...["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY)],
    ...["--groups", String(kvmGid), "--nnp", "--inh-caps=-all", "--ambient-caps=-all"],
    ...["--bounding-set=-all", "--pdeathsig", "KILL", "--"],
    request.qemuPath,
    ...CONFINED_ARGUMENTS,
    ...machineArguments({ accelerator: "kvm", cpuFeatures: request.cpuFeatures ?? "" }),
    ...["-m", `${MEMORY_MIB}M`, "-kernel", "/proc/self/fd/3", "-initrd", "/proc/self/fd/4"],
    ...["-append", kernelCommandLine({ kernelParams: "mukon_probe=1" })],
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
  ];
}

function oneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, " ").trim();
}
