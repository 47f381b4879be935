// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { filteredKeeper } from "../../support/filtered-keeper.ts";
import { PodWorld } from "../../support/pod-world.ts";

// The keeper reads what the guest says, so the shim takes it for captured: another program is run
// in its place. None of them boots a guest.

/** Seconds the guest has to boot. */
const BOOT_SECONDS = 2;
const CONTROL = 3;

let world: PodWorld;
before(() => {
  world = new PodWorld({
    settings: {
      "hypervisor.qemu": { accelerator: "tcg" },
      "agent.kata": { dial_timeout: BOOT_SECONDS },
    },
  });
});
after(() => world.end());

const CAPTURED: [title: string, program: string, code: RegExp][] = [
  ["that says nothing", "", /KEEPER_TIMEOUT|GUEST_BOOT_FAILED/],
  ["that sends something else than JSON", say("'\\0{{{ no json\\n'"), /KEEPER_PROTOCOL/],
  ["that sends a line without end", say("'a'.repeat(1 << 20)", "for (;;)"), /KEEPER_PROTOCOL/],
  [
    "that floods the shim with events",
    say(`'{"event":"oom","containerId":"x"}\\n'.repeat(1000)`),
    /KEEPER_PROTOCOL/,
  ],
  [
    "that answers with what its schema does not allow",
    say(`'{"id":1,"result":{"stages":[{"name":"x","milliseconds":-1}],"uid":0}}\\n'`),
    /KEEPER_PROTOCOL/,
  ],
  [
    "that reports errors with commands for the terminal",
    say(
      `'{"id":1,"error":{"code":"GUEST_BOOT_FAILED","message":"\\\\u001b]0;owned\\\\u0007"}}\\n'`,
    ),
    /KEEPER_PROTOCOL|GUEST_BOOT_FAILED/,
  ],
];

for (const [title, program, code] of CAPTURED) {
  test(`a keeper ${title} costs its own pod, at once or at its deadline`, async () => {
    const source = `setInterval(() => {}, 1000);\n${program}`;
    // Without its filter no keeper is used at all: see fail-closed.test.ts.
    const env = { MUKON_PROGRAMS: world.programs({ "keeper.cjs": filteredKeeper(source) }) };
    const startedAt = Date.now();
    const { stderr } = await world.assertRefused([], code, { env });
    assert.ok(Date.now() - startedAt < (BOOT_SECONDS + 20) * 1000);
    assert.ok(!stderr.includes("\x1b"), "the keeper reaches the terminal");
  });
}

/** A program that writes the value of an expression to the shim. */
function say(expression: string, again = ""): string {
  return `const data = ${expression};
${again} { for (let at = 0; at < data.length;) {
  try { at += require("node:fs").writeSync(${CONTROL}, data.slice(at)); }
  catch (error) { if (error.code !== "EAGAIN") throw error; }
} }`;
}
