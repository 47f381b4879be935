// SPDX-License-Identifier: Apache-2.0
import { attack, leaveSomebodyBehind, pretendToFilter, say } from "./attacker.ts";

// In virtiofsd's place, the one of QEMU's. Its report is the last that it says before it ends.
declare const TARGETS: string;

const STDERR = 2;

if (process.argv.includes("--version")) {
  process.stdout.write("virtiofsd version 7.2.0 (QEMU Project)\n");
} else {
  pretendToFilter();
  leaveSomebodyBehind();
  say(STDERR, `REPORT ${attack(JSON.parse(TARGETS))} END\n`);
  process.exit(1);
}
