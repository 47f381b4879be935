// SPDX-License-Identifier: Apache-2.0
// Runs in a guest, instead of the agent. What it does to the host is on the kernel's command line:
// `hostile=<name>`.
import { readFileSync } from "node:fs";
import { floodConsole, floodPort, sendGarbage, sendLength } from "./bytes.ts";
import { lie } from "./liar.ts";
import { openPort } from "./port.ts";

const WAYS: Record<string, () => unknown> = {
  console: floodConsole,
  garbage: async () => sendGarbage(await openPort()),
  length: async () => sendLength(await openPort()),
  endless: async () => floodPort(await openPort()),
  liar: async () => lie(await openPort(), { doesEnd: true }),
  immortal: async () => lie(await openPort(), { doesEnd: false }),
};

const name = /(?:^|\s)hostile=(\w+)/.exec(readFileSync("/proc/cmdline", "utf8"))?.[1] ?? "";
// The guest lives on, whatever happens to the agent.
process.on("uncaughtException", (error) => console.error("hostile agent:", error));
setInterval(() => {}, 1000);
console.error(`hostile agent: ${name}`);
WAYS[name]?.();
