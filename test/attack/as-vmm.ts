// SPDX-License-Identifier: Apache-2.0
import { attack, leaveSomebodyBehind, pretendToFilter, say } from "./attacker.ts";

// In QEMU's place. Its report goes to the guest's console, the end of which is in the pod's error.
declare const TARGETS: string;

const STDERR = 2;
const FLOOD = "x".repeat(1 << 20);
const console = /id=console,fd=(\d+)/.exec(process.argv.join(" "))?.[1];

pretendToFilter();
leaveSomebodyBehind();
// Short lines, and few: the error has no room for others.
const report = attack(JSON.parse(TARGETS)).replace(/((?:\S+ ){10})/g, "$1\n");
for (let round = 0; round < 16; round += 1) say(STDERR, FLOOD);
say(Number(console), `\nREPORT ${report}\nEND\n`);
setTimeout(() => process.exit(0), 500);
