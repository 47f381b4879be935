// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { startHost, type TestHost } from "../host.ts";

const INSTALL = ["node", "scripts/install.mjs"];
/** A guest below an emulator takes its time, and nothing shall be made beside the tests. */
const SETTINGS = `[agent.kata]
dial_timeout = 300

[mukon]
build_templates = false
`;
const WRITE_SETTINGS =
  'mkdir -p /etc/mukon/config.d && printf %s "$1" >/etc/mukon/config.d/testhost.toml';

/** A host of this test file's own, with mukon installed; it ends with the test's process. */
export async function startTestHost(): Promise<TestHost> {
  const log = (line: string): void => console.log(`testhost: ${line}`);
  const host = await startHost({ endsWithCaller: true, log });
  await host.output(INSTALL);
  await host.output(["sh", "-c", WRITE_SETTINGS, "sh", SETTINGS]);
  return host;
}

export interface CheckLine {
  name: string;
  status: string;
  message: string;
}

/** What `mukon check` says, by the names of its lines, and how it ended. */
export async function check(
  host: TestHost,
  ...options: string[]
): Promise<{ code: number | null; lines: Map<string, CheckLine> }> {
  const { code, stdout, stderr } = await host.run(["mukon", "check", "--json", ...options]);
  assert.match(stdout, /^\[/, stderr);
  const lines = JSON.parse(stdout) as CheckLine[];
  return { code, lines: new Map(lines.map((line) => [line.name, line])) };
}

/** Owner, group and mode of a node: `root:kvm 660 character special file`. */
export async function nodeFacts(host: TestHost, path: string): Promise<string> {
  return (await host.output(["stat", "--format", "%U:%G %a %F", path])).trim();
}
