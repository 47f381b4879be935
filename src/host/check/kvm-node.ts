// SPDX-License-Identifier: Apache-2.0
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asMukonError } from "../../errors/mukon-error.ts";
import { writeFileAtomic } from "../../linux/atomic-file.ts";
import { run } from "../../linux/run.ts";
import { readGroups } from "../identity/accounts.ts";
import { kvmGroup, kvmNode, statNode } from "../launcher/kvm-group.ts";
import type { CheckResult } from "./types.ts";

const NAME = "kvm-node";
const MODE = 0o660;
const OTHERS = 0o007;
const RULE_FILE = "85-mukon-kvm.rules";
const DEFAULT_RULES_DIRECTORY = "/etc/udev/rules.d";
const TIMEOUT_MS = 30_000;

/** Errors of the node that matter to a VMM alone that opens it by its group. */
const OF_GROUP: readonly string[] = ["KVM_GROUP_ROOT", "KVM_NODE_CLOSED"];

export interface KvmNodeCheck {
  fix: boolean;
  /** Whether VMMs use KVM by its group; else the node can be root's alone. */
  needsGroup: () => Promise<boolean>;
}

/** Whether VMMs can be given KVM; with `fix`, sees to it that they can by its group, beyond the next boot. */
export async function checkKvmNode(options: KvmNodeCheck): Promise<CheckResult> {
  const problem = await findProblem(options);
  if (problem === undefined) return { name: NAME, status: "ok", message: describeNode() };
  if (options.fix && problem.isFixable) {
    try {
      return { name: NAME, status: "fixed", message: await fixNode() };
    } catch (error) {
      const { message, hint } = asMukonError(error);
      const remedy = hint ?? `chown root:kvm ${kvmNode()} && chmod 0660 ${kvmNode()}`;
      return { name: NAME, status: "failed", message: `not fixed: ${message}`, remedy };
    }
  }
  const { message, remedy, status } = problem;
  return { name: NAME, status, message, remedy };
}

interface Problem {
  status: "warning" | "failed";
  message: string;
  remedy: string;
  isFixable: boolean;
}

async function findProblem({ needsGroup }: KvmNodeCheck): Promise<Problem | undefined> {
  try {
    kvmGroup();
  } catch (error) {
    const { code, message, hint } = asMukonError(error);
    if (OF_GROUP.includes(code) && !(await needsGroup())) return tooOpen();
    const remedy = hint ?? "mukon check --fix";
    // Without KVM pods run all the same, slowly; a node that is there must be usable.
    if (code === "KVM_NODE_MISSING") {
      return { status: "warning", message, remedy, isFixable: false };
    }
    return { status: "failed", message, remedy, isFixable: code !== "KVM_NODE_INVALID" };
  }
  return tooOpen();
}

function tooOpen(): Problem | undefined {
  const node = statNode(kvmNode());
  if ((node.mode & OTHERS) === 0 && node.uid === 0) return undefined;
  return {
    status: "failed",
    message: `${describeNode()}: it is open to more users than it needs to be`,
    remedy: "make it root:kvm 0660, for good: mukon check --fix",
    isFixable: true,
  };
}

function describeNode(): string {
  const { uid, gid, mode } = statNode(kvmNode());
  const group = readGroups().find(({ id }) => id === gid)?.name ?? String(gid);
  const owner = uid === 0 ? "root" : String(uid);
  return `${kvmNode()} is ${owner}:${group} ${(mode & 0o7777).toString(8).padStart(4, "0")}`;
}

async function fixNode(): Promise<string> {
  const group = await ensureGroup();
  const rule = installRule(group.name);
  const path = kvmNode();
  statNode(path);
  chownSync(path, 0, group.id);
  chmodSync(path, MODE);
  const isLasting = await reloadRules();
  const lasts = isLasting ? `lasts by ${rule}` : `${rule} makes it last once udev runs`;
  return `${describeNode()}; ${lasts}`;
}

/** `MUKON_KVM_GROUP` names another one, for tests. */
async function ensureGroup(): Promise<{ name: string; id: number }> {
  const name = process.env.MUKON_KVM_GROUP ?? "kvm";
  const find = (): { name: string; id: number } | undefined =>
    readGroups().find((group) => group.name === name);
  if (find() === undefined) await run(["groupadd", "--system", name], { timeoutMs: TIMEOUT_MS });
  const group = find();
  if (group === undefined || group.id === 0) throw new Error(`group ${name} cannot be used`);
  return group;
}

/** The same text as deploy/85-mukon-kvm.rules. */
export function kvmRule(group: string): string {
  return [
    "# SPDX-License-Identifier: Apache-2.0",
    `# KVM for the group ${group}, and nobody else. Written by \`mukon check --fix\`.`,
    `KERNEL=="kvm", SUBSYSTEM=="misc", OWNER="root", GROUP="${group}", MODE="0660", OPTIONS+="static_node=kvm"`,
    "",
  ].join("\n");
}

function installRule(group: string): string {
  const directory = rulesDirectory();
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const path = join(directory, RULE_FILE);
  const text = kvmRule(group);
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
    writeFileAtomic(path, text, { mode: 0o644 });
  }
  return path;
}

/** `MUKON_UDEV_RULES_DIRECTORY` moves it, for tests. */
function rulesDirectory(): string {
  return process.env.MUKON_UDEV_RULES_DIRECTORY ?? DEFAULT_RULES_DIRECTORY;
}

/** False when no udev listens now: it reads the rule when it starts. */
async function reloadRules(): Promise<boolean> {
  if (rulesDirectory() !== DEFAULT_RULES_DIRECTORY) return true;
  if (!existsSync("/run/udev/control")) return false;
  const result = await run(["udevadm", "control", "--reload"], {
    allowFailure: true,
    timeoutMs: TIMEOUT_MS,
  });
  return result.code === 0;
}
