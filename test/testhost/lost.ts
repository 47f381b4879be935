// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { asMukonError } from "../../src/errors/mukon-error.ts";
import { TestHostError } from "./error.ts";
import { runDirectory } from "./names.ts";
import { connectQmp } from "./qemu.ts";

/** Names the file in which whoever runs tests looks for why a host was lost. */
const LOG_VARIABLE = "MUKON_TESTHOST_LOST";
/** As long as what a kernel says when it dies. */
const CONSOLE_LINES = 60;
/** Of all that QEMU says of a processor: which one, where it is, and in what state. */
const TELLING = /^CPU#|^RIP=|^EIP=|HLT=/;

/**
 * A host that answers nobody any more, as an emulator that has virtual machines below it may come to a halt.
 * What its processors do then, and what its console said last, is all there is to be had.
 */
export async function lostHost(): Promise<TestHostError> {
  const said = readText(join(runDirectory(), "console")).trim().split("\n").slice(-CONSOLE_LINES);
  const message = [
    "the test host does not answer any more; its processors:",
    ...(await processors()),
    "its console said last:",
    ...said,
  ].join("\n");
  const log = process.env[LOG_VARIABLE];
  if (log !== undefined) appendFileSync(log, `${message}\n`);
  return new TestHostError(message);
}

async function processors(): Promise<string[]> {
  try {
    const qmp = await connectQmp(join(runDirectory(), "qmp.sock"));
    if (qmp === undefined) return ["QEMU has ended"];
    const command = { "command-line": "info registers -a" };
    const answer = await qmp.execute("human-monitor-command", command);
    qmp.close();
    return String(answer)
      .split("\n")
      .filter((line) => TELLING.test(line.trim()));
  } catch (error) {
    return [`QEMU does not say: ${asMukonError(error).message}`];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
