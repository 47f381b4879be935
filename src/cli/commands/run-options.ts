// SPDX-License-Identifier: Apache-2.0
import { isAbsolute, resolve } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import type { OciMount } from "../../guest-protocol/oci-spec.ts";
import type { PortMapping } from "../../host/cni/plugin.ts";
import { bindMount } from "../container/bind-mount.ts";
import { checkContainerName } from "../container/identifier.ts";
import { parsePairs } from "../io/pairs.ts";
import { type ByteRange, parseBytes, parseCount, parseDuration, usage } from "../io/quantities.ts";
import { parseDevice, parseMount } from "./disk-options.ts";
import { parseNameServer, parseNetwork, parsePort } from "./network-options.ts";

/** The options of `mukon run` as commander gives them. */
export interface RawRunOptions {
  detach?: boolean;
  name?: string;
  rm?: boolean;
  interactive?: boolean;
  tty?: boolean;
  env?: string[];
  envFile?: string[];
  workdir?: string;
  user?: string;
  entrypoint?: string;
  memory?: string;
  cpus?: string;
  pidsLimit?: string;
  hostname?: string;
  readOnly?: boolean;
  scratch?: string;
  annotation?: string[];
  config?: string;
  hypervisor?: string;
  timeout?: string;
  pull?: string;
  rootfs?: string;
  volume?: string[];
  mount?: string[];
  device?: string[];
  network?: string;
  publish?: string[];
  dns?: string[];
}

/** The same, checked and with units. */
export interface RunOptions {
  detach: boolean;
  name?: string;
  removeAtExit: boolean;
  interactive: boolean;
  /** Undefined: not said, so a terminal is used where there is one. */
  terminal?: boolean;
  environment: string[];
  environmentFiles: string[];
  workingDirectory?: string;
  user?: string;
  entrypoint?: string;
  memoryBytes?: number;
  cpus?: number;
  pidsLimit?: number;
  hostname?: string;
  readOnly: boolean;
  scratchBytes?: number;
  annotations: Record<string, string>;
  configurationFile?: string;
  timeoutMs?: number;
  pull: "missing" | "always" | "never";
  rootfs?: string;
  /** Of files, directories and disks of the host's, and of tmpfs. */
  mounts: OciMount[];
  /** `none`, the path of a network namespace, or the name of a CNI network. */
  network: string;
  ports: PortMapping[];
  nameServers: string[];
}

const HOSTNAME = /^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62})$/;
/** Below Docker's minimum not even a shell starts; no host has more than the maximum. */
const MEMORY: ByteRange = { least: 6 * 2 ** 20, most: 2 ** 44 };
/** mkfs.ext4 makes nothing smaller that could hold a file, and a file of ext4 is never larger. */
const SCRATCH: ByteRange = { least: 2 ** 20, most: 2 ** 43 };
const PULL = ["missing", "always", "never"] as const;

/** @throws USAGE naming the option, its value and what is accepted. */
export function checkRunOptions(raw: RawRunOptions): RunOptions {
  checkHypervisor(raw.hypervisor);
  return {
    detach: raw.detach ?? false,
    removeAtExit: raw.rm ?? false,
    interactive: raw.interactive ?? false,
    readOnly: raw.readOnly ?? false,
    environment: raw.env ?? [],
    environmentFiles: raw.envFile ?? [],
    annotations: parsePairs(raw.annotation ?? []),
    pull: pull(raw.pull),
    terminal: raw.tty,
    name: given(raw.name, checkContainerName),
    workingDirectory: given(raw.workdir, checkDirectory),
    user: raw.user,
    entrypoint: raw.entrypoint,
    memoryBytes: given(raw.memory, (text) => parseBytes("--memory", text, MEMORY)),
    cpus: given(raw.cpus, (text) => parseCount("--cpus", text)),
    pidsLimit: given(raw.pidsLimit, (text) => Math.ceil(parseCount("--pids-limit", text))),
    hostname: given(raw.hostname, checkHostname),
    scratchBytes: given(raw.scratch, (text) => parseBytes("--scratch", text, SCRATCH)),
    configurationFile: raw.config,
    timeoutMs: given(raw.timeout, (text) => parseDuration("--timeout", text)),
    rootfs: raw.rootfs,
    mounts: [
      ...(raw.volume ?? []).map(parseVolume),
      ...(raw.mount ?? []).map(parseMount),
      ...(raw.device ?? []).map(parseDevice),
    ],
    network: parseNetwork(raw.network ?? "none"),
    ports: (raw.publish ?? []).map(parsePort),
    nameServers: (raw.dns ?? []).map(parseNameServer),
  };
}

function given<Value>(text: string | undefined, check: (text: string) => Value): Value | undefined {
  return text === undefined ? undefined : check(text);
}

function pull(text: string | undefined): RunOptions["pull"] {
  const known = PULL.find((value) => value === (text ?? "missing"));
  if (known === undefined) throw usage("--pull", text ?? "", "missing, always or never");
  return known;
}

function checkHostname(text: string): string {
  if (!HOSTNAME.test(text))
    throw usage("--hostname", text, "a host name of up to 63 letters, digits, '.' and '-'");
  return text;
}

function parseVolume(text: string): OciMount {
  const [source = "", destination = "", mode, ...more] = text.split(":");
  const isKnown = mode === undefined || mode === "ro" || mode === "rw";
  if (source === "" || !isAbsolute(destination) || !isKnown || more.length > 0) {
    throw usage(
      "--volume",
      text,
      "HOST:CONTAINER or HOST:CONTAINER:ro, paths, the second absolute",
    );
  }
  return bindMount(resolve(source), destination, mode ?? "rw");
}

function checkDirectory(text: string): string {
  if (!isAbsolute(text)) throw usage("--workdir", text, "an absolute path in the container");
  return text;
}

function checkHypervisor(name: string | undefined): void {
  if (name === undefined || name === "qemu") return;
  throw new MukonError("USAGE", `--hypervisor: ${JSON.stringify(name)} is not supported`, {
    hint: "this release runs pods on qemu",
  });
}
