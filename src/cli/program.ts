// SPDX-License-Identifier: Apache-2.0
import { Command } from "commander";
import { VERSION } from "../version.ts";
import { addAuditCommand } from "./commands/audit.ts";
import { addCheckCommand } from "./commands/check.ts";
import { addConfigCommand } from "./commands/config.ts";
import { addExecCommand } from "./commands/exec.ts";
import { addGcCommand } from "./commands/gc.ts";
import { addGuestCommand } from "./commands/guest.ts";
import { addImageCommand } from "./commands/image.ts";
import { addInspectCommand } from "./commands/inspect.ts";
import { addKillCommand } from "./commands/kill.ts";
import { addLogsCommand } from "./commands/logs.ts";
import { addMonitorCommand } from "./commands/monitor.ts";
import { addPsCommand } from "./commands/ps.ts";
import { addRmCommand } from "./commands/rm.ts";
import { addRunCommand } from "./commands/run.ts";
import { addStopCommand } from "./commands/stop.ts";

/** The whole command line. Failures are thrown, never `process.exit` in the middle of something. */
export function makeProgram(): Command {
  const program = new Command("mukon")
    .description(
      "Run each container in its own VM, with nothing that the guest can reach running as root.",
    )
    .version(VERSION, "-v, --version")
    .enablePositionalOptions()
    .exitOverride()
    // What is wrong is thrown as well, and printed as every other failure is.
    .configureOutput({ outputError: () => {} });
  for (const add of [
    addRunCommand,
    addExecCommand,
    addPsCommand,
    addLogsCommand,
    addKillCommand,
    addStopCommand,
    addRmCommand,
    addInspectCommand,
    addAuditCommand,
    addCheckCommand,
    addGcCommand,
    addImageCommand,
    addGuestCommand,
    addConfigCommand,
    addMonitorCommand,
  ]) {
    add(program);
  }
  return program;
}
