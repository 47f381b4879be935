// SPDX-License-Identifier: Apache-2.0
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { dirname, join } from "node:path";
import { MukonError } from "../../../errors/mukon-error.ts";
import { attachProgram, countPrograms, loadProgram } from "../../../linux/bpf.ts";
import { cgroupHierarchies } from "../../cgroups/hierarchies.ts";
import { Journal } from "../../journal/journal.ts";
import { tearDown } from "../../journal/tear-down.ts";
import type { PublishedPort } from "./published-port.ts";
import { wallPrograms } from "./wall-programs.ts";

const HINT =
  "it takes Linux 5.15 with CONFIG_CGROUP_BPF, and cgroup version 2 mounted below /sys/fs/cgroup (an empty tree of it will do); or use --network bridge";

/**
 * A cgroup (version 2) whose sockets cannot reach the host that they are on: see
 * {@link wallPrograms}. The programs belong to the cgroup, not to who has put them there: they hold
 * for all who are in there, until the last one has gone and it is removed.
 */
export interface Wall {
  /** Path of the cgroup's directory. */
  cgroup: string;
}

/**
 * Builds the wall; nobody is behind it yet. The cgroup is in the journal before it is made.
 * @throws NETWORK_WALL_UNAVAILABLE
 */
export function buildWall(
  key: string,
  { journal, ports }: { journal: Journal; ports: readonly PublishedPort[] },
): Wall {
  if (!isKnownToHold(release())) throw unavailable(`this is Linux ${release()}`);
  const tree = cgroupHierarchies().find(({ version }) => version === 2);
  if (tree === undefined) throw unavailable("there is no cgroup of version 2");
  const cgroup = join(tree.mountPoint, "mukon", `${key}.network`);
  try {
    for (const path of [dirname(cgroup), cgroup]) {
      if (!existsSync(path)) journal.append({ type: "cgroup", path });
      mkdirSync(path, { recursive: true, mode: 0o755 });
    }
    withCgroup(cgroup, (descriptor) => {
      for (const { programType, attachType, code } of wallPrograms(ports)) {
        const program = loadProgram(code, { programType, attachType });
        try {
          attachProgram(program, descriptor, attachType);
        } finally {
          closeSync(program);
        }
      }
    });
  } catch (cause) {
    throw unavailable(cause instanceof Error ? cause.message : String(cause), cause);
  }
  return { cgroup };
}

/**
 * Builds a wall around nobody, and takes it down again: whether that can be done on this host.
 * @throws NETWORK_WALL_UNAVAILABLE
 */
export async function tryWall(): Promise<void> {
  const key = `check-${process.pid}`;
  const journal = Journal.open(key);
  try {
    buildWall(key, { journal, ports: [] });
  } finally {
    journal.close();
    await tearDown(key);
  }
}

/**
 * Before 5.15, the classes and priorities that version 1 of cgroups gives to packets (net_cls, net_prio)
 * took a socket out of its cgroup of version 2.
 */
export function isKnownToHold(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map((word) => Number.parseInt(word, 10));
  return major > 5 || (major === 5 && minor >= 15);
}

/** Puts a process behind the wall: sockets that it makes from now on are. */
export function placeBehind({ cgroup }: Wall, pid: number): void {
  writeFileSync(join(cgroup, "cgroup.procs"), String(pid));
}

/** What is wrong with the wall around a process; empty: nothing. */
export function deviationsOfWall({ cgroup }: Wall, pid: number): string[] {
  try {
    const own = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1];
    if (own === undefined || own === "/" || !cgroup.endsWith(own)) {
      return [`it is not behind its wall: its cgroup is ${own ?? "none"}`];
    }
    return withCgroup(cgroup, (descriptor) =>
      wallPrograms([])
        .filter(({ attachType }) => countPrograms(descriptor, attachType) === 0)
        .map(({ name }) => `a part of its wall is not there (${name})`),
    );
  } catch (error) {
    return [`its wall cannot be looked at: ${error}`];
  }
}

function withCgroup<Result>(path: string, work: (descriptor: number) => Result): Result {
  const descriptor = openSync(path, "r");
  try {
    return work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function unavailable(why: string, cause?: unknown): MukonError {
  return new MukonError(
    "NETWORK_WALL_UNAVAILABLE",
    `the host cannot be walled off from the network of this pod: ${why}`,
    { hint: HINT, cause },
  );
}
