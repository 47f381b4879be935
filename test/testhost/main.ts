// SPDX-License-Identifier: Apache-2.0
import { formatError } from "../../src/errors/mukon-error.ts";
import { buildHost } from "./build.ts";
import { TestHostError } from "./error.ts";
import { startHost, TestHost } from "./host.ts";
import { ORDINARY_USER } from "./names.ts";

const USAGE = `usage: scripts/testhost COMMAND

A Debian 13 host in a VM whose /dev/kvm works, on any machine (emulated: slow, but true).

  build               make it (once: minutes), and keep it booted as a snapshot
  up                  start it out of the snapshot (seconds); it runs until \`down\`
  run [-u USER] CMD…  run a command in it, in the checkout: output and exit code come back; without
                      a host that is up, one is started for this command alone
  shell [-u USER]     a shell in it
  down                end it; what it wrote is forgotten

USER: root (default) or ${ORDINARY_USER}, who is in group kvm and has subordinate ids.
`;
const INHERIT = ["inherit", "inherit", "inherit"] as const;
const log = (line: string): void => console.error(`testhost: ${line}`);

async function main([command, ...args]: string[]): Promise<number> {
  switch (command) {
    case "build":
      await buildHost(log);
      return 0;
    case "up":
      await startHost({ endsWithCaller: false, log });
      return 0;
    case "run":
      return runCommand(args);
    case "shell":
      return runCommand([...args, "bash", "-l"], true);
    case "down":
      await TestHost.current()?.down();
      return 0;
    default:
      process.stderr.write(USAGE);
      return 2;
  }
}

async function runCommand(args: string[], isTerminal = false): Promise<number> {
  const hasUser = args[0] === "-u";
  const user = hasUser ? args[1] : "root";
  const argv = hasUser ? args.slice(2) : args;
  if (user === undefined || argv.length === 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  const current = TestHost.current();
  const host = current ?? (await startHost({ endsWithCaller: true, log }));
  try {
    const { code } = await host.run(argv, { user, isTerminal, stdio: [...INHERIT] });
    return code ?? 255;
  } finally {
    if (current === undefined) await host.down();
  }
}

try {
  if (process.getuid?.() !== 0) {
    throw new TestHostError("the test host is built and run by root", { hint: "use sudo" });
  }
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof TestHostError) {
    console.error(`error: ${error.message}`);
    if (error.hint !== undefined) console.error(`  hint: ${error.hint}`);
  } else {
    console.error(`error: ${formatError(error)}`);
  }
  process.exitCode = 1;
}
