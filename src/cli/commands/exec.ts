// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import type { RawExecOptions } from "../container/exec-process.ts";
import { usage } from "../io/quantities.ts";
import { requireRoot } from "../io/root.ts";

const collect = (value: string, earlier: string[] = []): string[] => [...earlier, value];

export function addExecCommand(program: Command): void {
  program
    .command("exec")
    .description("run a command in a running container")
    .argument("<container>", "name, id, or the beginning of an id")
    .argument("<command...>", "the command and its arguments")
    .passThroughOptions()
    .option("-i, --interactive", "pass standard input on")
    .option("-t, --tty", "give it a terminal")
    .option("-e, --env <NAME=value>", "set an environment variable", collect)
    .option("--env-file <file>", "read environment variables from a file", collect)
    .option("-w, --workdir <directory>", "working directory in the container")
    .option(
      "-u, --user <user[:group]>",
      "user to run as, by name or number (default: the container's)",
    )
    .action(async (container: string, command: string[], raw: RawExecOptions) => {
      requireRoot("exec");
      if (raw.workdir?.startsWith("/") === false)
        throw usage("--workdir", raw.workdir, "an absolute path in the container");
      const { execInContainer } = await import("../container/exec.ts");
      process.exitCode = await execInContainer(container, command, raw);
    });
}
