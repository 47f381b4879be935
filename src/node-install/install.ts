// SPDX-License-Identifier: Apache-2.0
import { readdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../errors/mukon-error.ts";
import { FLAVOUR_NAMES, type FlavourName, findFlavour, unitOf } from "./containerd/flavour.ts";
import { type Edit, planInstall, planUninstall } from "./containerd/plan.ts";
import { replaceFile } from "./files.ts";
import type { HostRoot } from "./host-root.ts";
import { openPayload } from "./payload.ts";
import { checkPrerequisites } from "./prerequisites.ts";
import { installPrograms, uninstallPrograms } from "./programs.ts";
import { restartUnit } from "./restart.ts";

const SANDBOXES = "/run/mukon/sandboxes";
const POLL_MS = 1_000;

export interface InstallOptions {
  readonly host: HostRoot;
  /** Directory with what is to be installed. */
  readonly payload: string;
  /** Names by which RuntimeClasses call the runtime. */
  readonly handlers: readonly string[];
  readonly flavour?: FlavourName | undefined;
  /** How the node's systemctl is called; undefined: containerd is not restarted. */
  readonly systemctl?: readonly string[] | undefined;
  /** Told one line for each thing that is done. */
  readonly say: (line: string) => void;
}

/**
 * Installs mukon on a node, or completes, repairs or renews an installation. What is not understood is
 * found out before anything is changed. A second time, nothing is written and nothing restarted.
 */
export async function install(options: InstallOptions): Promise<void> {
  const { host, say } = options;
  const payload = openPayload(options.payload);
  const flavour = findFlavour(host, options.flavour);
  checkPrerequisites(host);
  const edits = planInstall(host, flavour, options.handlers);
  installPrograms(host, payload);
  say(`programs: /opt/mukon/${payload.id}`);
  await change(options, edits, unitOf(host, flavour));
}

/**
 * Undoes it, wherever something of ours is: also where containerd itself has gone meanwhile.
 * @throws INSTALL_IN_USE when there are pods of mukon's after `waitMs`; nothing has changed then
 */
export async function uninstall(
  options: Omit<InstallOptions, "payload" | "handlers" | "flavour"> & { waitMs?: number },
): Promise<void> {
  const { host } = options;
  const plans = FLAVOUR_NAMES.map((name) => findFlavour(host, name)).map((flavour) => ({
    flavour,
    edits: planUninstall(host, flavour),
  }));
  await awaitNoPods(host, options.waitMs ?? 0);
  for (const { flavour, edits } of plans) {
    if (edits.length > 0) await change(options, edits, unitOf(host, flavour));
  }
  uninstallPrograms(host);
  options.say("programs: removed");
}

async function change(
  options: Pick<InstallOptions, "host" | "systemctl" | "say">,
  edits: readonly Edit[],
  unit: string,
): Promise<void> {
  const { host, say, systemctl } = options;
  for (const { path, text } of edits) {
    if (text === undefined) rmSync(host.at(path));
    else replaceFile(host.at(path), text);
    say(`${path}: ${text === undefined ? "removed" : "written"}`);
  }
  if (edits.length === 0) say("containerd: its configuration is as it should be");
  else if (systemctl === undefined) say(`containerd: restart ${unit} for it to take effect`);
  else {
    await restartUnit(systemctl, unit);
    say(`containerd: ${unit} restarted`);
  }
}

async function awaitNoPods(host: HostRoot, waitMs: number): Promise<void> {
  for (const deadline = Date.now() + waitMs; ; await sleep(POLL_MS)) {
    const names = sandboxesOf(host);
    if (names.length === 0) return;
    if (Date.now() < deadline) continue;
    throw new MukonError(
      "INSTALL_IN_USE",
      `${names.length} pods of mukon's are still on the node: ${names.slice(0, 5).join(", ")}. Nothing was removed.`,
      {
        hint: "Delete the pods whose RuntimeClass is mukon's (what a crash left: mukon gc), and uninstall again.",
      },
    );
  }
}

function sandboxesOf(host: HostRoot): string[] {
  try {
    return readdirSync(host.at(SANDBOXES));
  } catch {
    return [];
  }
}
