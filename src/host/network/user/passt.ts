// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../../errors/mukon-error.ts";
import { type PodIdentity, passtIds } from "../../identity/types.ts";
import { programJail } from "../../jail/program-jail.ts";
import type { Jail } from "../../jail/types.ts";
import type { ConfinedLaunch, ExpectedConfinement } from "../../launcher/types.ts";
import { JAIL_NAMESPACES } from "../../launcher/verify.ts";
import type { PublishedPort } from "./published-port.ts";
import { placeBehind, type Wall } from "./wall.ts";

export const PASST_ROLE = "passt";
/** Where distributions put it. Where the processor has AVX2, it becomes the second one of its own. */
const DIRECTORIES = ["/usr/bin", "/usr/local/bin"];
const VARIANTS = ["passt", "passt.avx2"];
/** A socket for each connection of the guest's, and a pipe now and then. */
const MAX_OPEN_FILES = 16_384;
const SOCKET = 3;
const POLL_MS = 2;
const TIMEOUT_MS = 10_000;
/** Its own filter of system calls, on top of ours. */
const FILTERS = 2;

/** The guest's side of the network: what user-mode networks have looked like since slirp. */
export const GUEST = {
  address: "10.0.2.15",
  prefix: 24,
  gateway: "10.0.2.2",
  /** As large as a frame can be: the host makes segments of it. */
  mtu: 65_520,
} as const;
const GATEWAY_MAC = "9a:55:9a:55:9a:55";

/** @throws PASST_MISSING */
export function findPasst(): string {
  const found = DIRECTORIES.map((directory) => join(directory, "passt")).find(isExecutable);
  if (found !== undefined) return found;
  throw new MukonError("PASST_MISSING", "passt is not installed, which --network user needs", {
    hint: "install it: apt-get install passt",
  });
}

/** All that passt and the program that starts it (see `src/passt`) see of the host. */
export async function passtJail(
  passt: string,
  starter: { node: string; files: readonly string[] },
): Promise<Jail> {
  const [own, node] = await Promise.all([
    programJail(passt, variantsOf(passt)),
    programJail(starter.node, starter.files),
  ]);
  return { paths: [...new Set([...own.paths, ...node.paths])], devices: own.devices };
}

export interface PasstLaunchRequest {
  identity: PodIdentity;
  /** Command that ends as its arguments, with a filter of system calls. */
  starter: readonly string[];
  passt: string;
  jail: Jail;
  wall: Wall;
  ports: readonly PublishedPort[];
  /** Connected with the VMM. */
  socket: number;
}

/** How to start passt: in our own network, behind the wall, and in a jail as others are. */
export function passtLaunch(request: PasstLaunchRequest): ConfinedLaunch {
  const { identity, starter, passt, jail, wall, ports, socket } = request;
  return {
    role: PASST_ROLE,
    argv: [...starter, passt, ...passtArguments(ports)],
    ...passtIds(identity),
    groups: [],
    stdio: ["ignore", "ignore", "pipe", socket],
    maxOpenFiles: MAX_OPEN_FILES,
    jail,
    placeBehindWall: (pid) => placeBehind(wall, pid),
  };
}

/** What it is held to as long as it runs. */
export function passtConfinement(identity: PodIdentity): ExpectedConfinement {
  return {
    ...{ role: PASST_ROLE, ...passtIds(identity), groups: [], seccomp: "filter" },
    ownNamespaces: JAIL_NAMESPACES.filter((name) => name !== "net"),
  };
}

/** Nothing is announced to the guest, whose agent is told by us; nothing leads to the host. */
export function passtArguments(ports: readonly PublishedPort[]): string[] {
  const published = (wanted: PublishedPort["protocol"], option: string): string[] => {
    const own = ports.filter(({ protocol }) => protocol === wanted);
    if (own.length === 0) return [option, "none"];
    return own.flatMap(({ hostAddress, hostPort, guestPort }) => [
      option,
      `${hostAddress}/${hostPort}:${guestPort}`,
    ]);
  };
  return [
    ...["--foreground", "--stderr", "--quiet", "--fd", String(SOCKET), "--ipv4-only"],
    ...["--address", GUEST.address, "--netmask", String(GUEST.prefix)],
    ...["--gateway", GUEST.gateway, "--mac-addr", GATEWAY_MAC, "--mtu", String(GUEST.mtu)],
    ...["--no-map-gw", "--no-dhcp", "--no-dhcpv6", "--no-ra", "--no-ndp"],
    ...["--dns", "none", "--search", "none"],
    ...published("tcp", "--tcp-ports"),
    ...published("udp", "--udp-ports"),
  ];
}

/**
 * Waits until it is passt itself that runs, with both filters of system calls on: it has not read a
 * byte of the guest's before.
 * @throws CONFINEMENT_BROKEN
 */
export async function awaitPasst(pid: number, passt: string): Promise<void> {
  const programs = new Set(variantsOf(passt).map(identityOfFile));
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const problem = problemOf(pid, programs);
    if (problem === undefined) return;
    if (problem === GONE || Date.now() >= deadline) {
      throw new MukonError("CONFINEMENT_BROKEN", `passt (pid ${pid}) is not confined: ${problem}`, {
        hint: "the pod was not started",
        details: { deviations: [problem] },
      });
    }
    await sleep(POLL_MS);
  }
}

const GONE = "the process has ended";

function problemOf(pid: number, programs: ReadonlySet<string | undefined>): string | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return GONE;
  }
  if (/^State:\tZ/m.test(status)) return GONE;
  const program = identityOfFile(`/proc/${pid}/exe`);
  if (program === undefined || !programs.has(program)) return "it is not passt that runs";
  const filters = Number(/^Seccomp_filters:\t(\d+)$/m.exec(status)?.[1] ?? 0);
  return filters >= FILTERS ? undefined : `it has ${filters} filters of system calls`;
}

function variantsOf(passt: string): string[] {
  return VARIANTS.map((name) => join(passt, "..", name)).filter((path) => existsSync(path));
}

function identityOfFile(path: string): string | undefined {
  const status = statSync(path, { bigint: true, throwIfNoEntry: false });
  return status === undefined ? undefined : `${status.dev}:${status.ino}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
