// SPDX-License-Identifier: Apache-2.0
import { attack, leaveSomebodyBehind, pretendToFilter, say } from "./attacker.ts";

// In the keeper's place. Its report is the answer to the shim's first request.
declare const TARGETS: string;

const CONTROL = 3;

pretendToFilter();
leaveSomebodyBehind();
const message = `REPORT ${attack(JSON.parse(TARGETS))} END`;
say(CONTROL, `${JSON.stringify({ id: 1, error: { code: "GUEST_BOOT_FAILED", message } })}\n`);
setInterval(() => {}, 1000);
