// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";
import type { PodIdentity } from "../host/identity/types.ts";
import {
  awaitPasst,
  findPasst,
  GUEST,
  passtJail,
  passtLaunch,
} from "../host/network/user/passt.ts";
import type { PublishedPort, UserNetworkWish } from "../host/network/user/published-port.ts";
import { buildWall, deviationsOfWall, type Wall } from "../host/network/user/wall.ts";
import { programsDirectory, publishProgram } from "../host/programs.ts";
import { readSandboxState, toProcessRecord, writeSandboxState } from "../host/sandbox-state.ts";
import { killProcess } from "../linux/pidfd.ts";
import { NODE_PARTS } from "./keeper.ts";
import type { KeeperClient } from "./keeper-client.ts";
import { launchVerified } from "./launch-verified.ts";
import type { Loss } from "./loss.ts";
import type { MachineDraft } from "./machine.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";

const UNPRIVILEGED_PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
const INTERFACE = "eth0";

/** A pod's network in user mode: passt runs, and this leads to it. */
export interface UserNetwork {
  /** The VMM's end. */
  socket: number;
  mac: string;
  descriptors: OwnedDescriptors;
}

/** What can be made of it, or refused, before there is anything else of the pod. */
export interface UserNetworkPlan {
  passt: string;
  wall: Wall;
  ports: readonly PublishedPort[];
}

/**
 * Builds the wall, which is in the journal; undefined where no network in user mode is asked for.
 * @throws PASST_MISSING, PUBLISH_PRIVILEGED, NETWORK_WALL_UNAVAILABLE
 */
export async function planUserNetwork(
  { key, journal }: Pick<MachineDraft, "key" | "journal">,
  wish: UserNetworkWish | undefined,
): Promise<UserNetworkPlan | undefined> {
  if (wish === undefined) return undefined;
  const { ports } = wish;
  assertUnprivileged(ports);
  return { passt: findPasst(), wall: buildWall(key, { journal, ports }), ports };
}

/**
 * Starts passt behind its wall, for a pod whose VMM has nothing of the network but a socket to it. The
 * descriptors are the caller's to close.
 * @throws CONFINEMENT_BROKEN and the other codes of a launch
 */
export async function startUserNetwork(
  { key, journal }: Pick<MachineDraft, "key" | "journal">,
  { passt, wall, ports }: UserNetworkPlan,
  parts: { identity: PodIdentity; loss: Loss; descriptors: OwnedDescriptors },
): Promise<UserNetwork> {
  const { identity, loss, descriptors } = parts;
  const { node, filter } = await findStarter();
  const jail = await passtJail(passt, {
    node,
    files: [filter, join(dirname(filter), "koffi.node"), NODE_PARTS],
  });
  const [socket, theirs] = descriptors.socketPair();
  const starter = [node, filter];
  const launch = passtLaunch({
    ...{ identity, starter, passt, jail, wall, ports },
    socket: theirs,
  });
  const launched = await launchVerified(launch, { journal, seccomp: "filter" });
  try {
    await awaitPasst(launched.pid, passt);
    assertWall(wall, launched.pid);
  } catch (error) {
    killProcess(launched, "SIGKILL");
    throw withWords(error, launched.stderrTail());
  }
  descriptors.close([theirs]);
  loss.watch("passt", launched, { isServant: true });
  const state = readSandboxState(key);
  if (state !== undefined) {
    const processes = { ...state.processes, passt: toProcessRecord(launched) };
    writeSandboxState(key, { ...state, processes, wall: wall.cgroup });
  }
  return { socket, mac: randomMac(), descriptors };
}

/** Plugs the card in whose frames passt gets, and has the guest set it up. */
export async function plugUserNetwork(
  key: string,
  { socket, mac, descriptors }: UserNetwork,
  keeper: KeeperClient,
): Promise<void> {
  const { address, prefix, gateway, mtu } = GUEST;
  const card = { cardId: "n0", mac, mtu, backend: "stream" as const };
  const { source } = await keeper.attachCard(card, [socket]);
  descriptors.close([socket]);
  const addresses = [{ address, prefix }];
  const route = { family: 4 as const, destination: "", gateway, device: INTERFACE };
  await keeper.setUpNetwork({
    interfaces: [{ name: INTERFACE, mac, mtu, source, addresses }],
    routes: [{ ...route, scope: 0, mtu: 0, onLink: false }],
    neighbours: [],
  });
  const state = readSandboxState(key);
  if (state === undefined) return;
  const network = [{ name: INTERFACE, mac, tap: "passt", addresses: [`${address}/${prefix}`] }];
  writeSandboxState(key, { ...state, network });
}

/** The program that becomes passt, and what runs it. */
async function findStarter(): Promise<{ node: string; filter: string }> {
  const [node, filter] = await Promise.all([
    publishProgram(process.execPath),
    publishProgram(join(programsDirectory(), "passt-filter.cjs")),
  ]);
  return { node, filter };
}

function assertWall(wall: Wall, pid: number): void {
  const deviations = deviationsOfWall(wall, pid);
  if (deviations.length === 0) return;
  throw new MukonError("CONFINEMENT_BROKEN", `passt (pid ${pid}): ${deviations.join("; ")}`, {
    hint: "the pod was not started",
    details: { deviations },
  });
}

/** passt is nobody on the host, and may do as much as nobody may. */
function assertUnprivileged(ports: readonly PublishedPort[]): void {
  const first = Number(readFileSync(UNPRIVILEGED_PORTS, "utf8"));
  const refused = ports.find(({ hostPort }) => hostPort < first);
  if (refused === undefined) return;
  throw new MukonError(
    "PUBLISH_PRIVILEGED",
    `port ${refused.hostPort} of the host is for privileged programs, which passt is none of`,
    {
      hint: `publish a port from ${first} on, or use --network bridge; or let all programs have it: sysctl net.ipv4.ip_unprivileged_port_start=${refused.hostPort}`,
    },
  );
}

function withWords(error: unknown, words: string): unknown {
  const said = words.trim().slice(-1000);
  if (!(error instanceof MukonError) || said === "") return error;
  return new MukonError("LAUNCH_FAILED", `passt did not start: ${said}`, {
    hint: "a port that is to be published may be taken: ss -ltnup",
    cause: error,
  });
}

/** Locally administered, and of one card alone. */
function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
