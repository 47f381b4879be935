// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync, type Stats, statSync } from "node:fs";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { run } from "../../linux/run.ts";
import { type ProbeOutcome, recallAccelerator, rememberAccelerator } from "./accelerator-cache.ts";
import { NOBODY } from "./as-nobody.ts";
import { kernelCommandLine } from "./kernel-command-line.ts";
import { type KvmAccess, takesKvmDescriptor } from "./kvm-access.ts";
import type { Accelerator } from "./launch-input.ts";
import { CONFINED_ARGUMENTS, machineArguments } from "./machine.ts";
import { openForProbe } from "./probe-files.ts";
import type { ProbeRequest } from "./probe-request.ts";

const KVM_PATH = "/dev/kvm";
/**
 * A guest on working KVM is through in half a second. Below another emulator it takes ten, and an
 * answer that came too late is remembered until the next boot, so there is room.
 */
const DEFAULT_TIMEOUT_MS = 60_000;
const MEMORY_MIB = 256;
const ALIVE = "mukon-probe-ok";
const GROUP_READ_WRITE = 0o060;
const MAX_SAID_CHARACTERS = 300;

export interface ProbeResult {
  accelerator: Accelerator;
  /** How QEMU gets at KVM; none under emulation. */
  kvmAccess?: KvmAccess;
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
  const outcome = await tryKvm(request);
  if ("access" in outcome) {
    return { accelerator: "kvm", kvmAccess: outcome.access, reason: "KVM runs a guest here." };
  }
  if (request.wanted === "kvm") {
    throw new MukonError("ACCELERATOR_UNAVAILABLE", `KVM does not work here: ${outcome.failure}`, {
      hint: 'Run: mukon check, or set accelerator = "auto" to fall back to emulation.',
    });
  }
  return { accelerator: "tcg", reason: `KVM cannot be used: ${outcome.failure}` };
}

async function tryKvm(request: ProbeRequest): Promise<ProbeOutcome> {
  const kvmPath = request.kvmPath ?? KVM_PATH;
  const node = statSync(kvmPath, { throwIfNoEntry: false });
  if (node === undefined) return { failure: `there is no ${kvmPath}.` };
  if (!node.isCharacterDevice()) return { failure: `${kvmPath} is no device.` };
  const known = recallAccelerator(request, node);
  if (known !== undefined) return known;
  const outcome = await tryNode(request, { path: kvmPath, node });
  rememberAccelerator(request, node, outcome);
  return outcome;
}

async function tryNode(
  request: ProbeRequest,
  { path, node }: { path: string; node: Stats },
): Promise<ProbeOutcome> {
  const wanted = request.kvmAccess;
  const isDescriptor = wanted !== "group" && (await takesKvmDescriptor(request.qemuPath));
  if (!isDescriptor && wanted === "descriptor") {
    return {
      failure: 'this QEMU takes no descriptor of it, which kvm_access = "descriptor" wants.',
    };
  }
  if (!isDescriptor && (node.gid === 0 || (node.mode & GROUP_READ_WRITE) !== GROUP_READ_WRITE)) {
    return {
      failure: `${path} does not let a group of its own in (mukon check --fix changes that).`,
    };
  }
  const failure = await runGuest(request, isDescriptor ? { path } : { gid: node.gid });
  return failure === undefined ? { access: isDescriptor ? "descriptor" : "group" } : { failure };
}

/** The node that QEMU is given as a descriptor, or the group that lets it open that itself. */
type KvmDoor = { path: string } | { gid: number };

/** Undefined: it ran. Errors: `ASSET_INVALID`; a file that is missing says nothing about KVM. */
async function runGuest(request: ProbeRequest, door: KvmDoor): Promise<string | undefined> {
  const opened: number[] = [];
  try {
    for (const path of [request.kernelPath, request.initrdPath]) opened.push(openForProbe(path));
    if ("path" in door) opened.push(openSync(door.path, constants.O_RDWR));
    return await runOpened(request, { door, opened });
  } catch (error) {
    // As of a module whose hardware is switched off (ENODEV).
    if (error instanceof MukonError) throw error;
    return `it cannot be opened: ${asMukonError(error).message}.`;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

async function runOpened(
  request: ProbeRequest,
  { door, opened }: { door: KvmDoor; opened: readonly number[] },
): Promise<string | undefined> {
  const gid = "gid" in door ? door.gid : undefined;
  try {
    const result = await run(probeArguments(request, gid), {
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

/**
 * The same walls as a pod's VMM has; exported for the test that looks at them. Without a group, KVM is
 * its descriptor 5.
 */
export function probeArguments(request: ProbeRequest, kvmGid: number | undefined): string[] {
  const isGiven = kvmGid === undefined;
  return [
    ...["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY)],
    ...(isGiven ? ["--clear-groups"] : ["--groups", String(kvmGid)]),
    ...["--nnp", "--inh-caps=-all", "--ambient-caps=-all"],
    ...["--bounding-set=-all", "--pdeathsig", "KILL", "--"],
    request.qemuPath,
    ...CONFINED_ARGUMENTS,
    ...(isGiven ? ["-add-fd", "fd=5,set=1"] : []),
    ...machineArguments({
      accelerator: "kvm",
      cpuFeatures: request.cpuFeatures ?? "",
      kvmDevice: isGiven ? "/dev/fdset/1" : undefined,
    }),
    ...["-m", `${MEMORY_MIB}M`, "-kernel", "/proc/self/fd/3", "-initrd", "/proc/self/fd/4"],
    ...["-append", kernelCommandLine({ kernelParams: "mukon_probe=1" })],
    ...["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
  ];
}

function oneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, " ").trim();
}
