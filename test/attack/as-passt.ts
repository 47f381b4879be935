// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { filterSystemCalls } from "../../src/linux/seccomp/install.ts";
import { PASST_POLICY } from "../../src/passt/policy.ts";
import { attack, leaveSomebodyBehind, say } from "./attacker.ts";
import { callApart } from "./one-call-program.ts";
import { divertCalls } from "./system.ts";

// In passt's place: in the program that becomes it, with the filter that this one puts on, which is a
// part of passt's walls as it is in the host's network. Its report is the last that it says.
declare const TARGETS: string;

const STDERR = 2;
/** What it says is read before its end is seen. */
const LAST_WORDS_MS = 300;

/** What a call that the filter lets succeed, and do nothing, would have changed. */
function surroundings(): string {
  const namespaces = readdirSync("/proc/self/ns").map((name) =>
    readlinkSync(`/proc/self/ns/${name}`),
  );
  return [readFileSync("/proc/self/mountinfo", "utf8"), ...namespaces, process.cwd()].join();
}

filterSystemCalls(PASST_POLICY);
divertCalls((name, values, make) => {
  // With whoever makes one of those, all is over: somebody else does it.
  if (PASST_POLICY.deadly.some((deadly) => deadly === name)) return callApart(name, values);
  if (PASST_POLICY.skipped?.some((skipped) => skipped === name) !== true) return make();
  const before = surroundings();
  const result = make();
  if (surroundings() === before) throw Object.assign(new Error(), { code: "NOTHING" });
  return result;
});
leaveSomebodyBehind();
say(STDERR, `REPORT ${attack(JSON.parse(TARGETS))} END\n`);
setTimeout(() => process.exit(1), LAST_WORDS_MS);
