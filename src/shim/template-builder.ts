// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { programsDirectory } from "../host/programs.ts";
import type { Logger } from "../logging/logger.ts";
import type { MachineDescription } from "../sandbox/template/inputs.ts";
import { inherited } from "./start/daemon-process.ts";

/** Forks and ends, so that the builder is nobody's child, and no part of this shim's pod. */
const FORK = "/usr/bin/setsid";
/** Set to `never`, it keeps shims from having templates made, whatever the configuration says. */
const SWITCH = "MUKON_BUILD_TEMPLATES";

/**
 * Has the template made that the pod which has just booted would have needed, by a process of its
 * own that outlives this one and that nobody waits for. It is told the size of the machine and
 * nothing else of the pod.
 */
export function startTemplateBuilder(
  machine: MachineDescription,
  options: { configurationPath: string | undefined; log: Logger },
): void {
  const program = join(programsDirectory(), "mukon.cjs");
  if (process.env[SWITCH] === "never" || !existsSync(program)) return;
  const { defaultVcpus, defaultMemory } = machine.settings;
  const { configurationPath, log } = options;
  const args = [
    ...["guest", "template", "build", "--in-background"],
    ...["--machine-vcpus", String(defaultVcpus), "--machine-memory", String(defaultMemory)],
    ...(configurationPath === undefined ? [] : ["--config", configurationPath]),
  ];
  const child = spawn(FORK, ["--fork", process.execPath, "--", program, ...args], {
    stdio: "ignore",
    cwd: "/",
    env: inherited(),
  });
  child.once("error", (error) => log.warn("no template is made", { error }));
  child.unref();
  log.info("a template for pods of this size is being made");
}
