// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { type StartedClone, suspectTemplate } from "../../../src/sandbox/template/suspect.ts";

const RUNS = { exitCode: null, signalCode: null };
const ENDED = { exitCode: 1, signalCode: null };
const KILLED = { exitCode: null, signalCode: "SIGKILL" as const };
const CLONE: StartedClone = { vmm: { child: RUNS }, keeper: { child: RUNS } };

const launchFailed = (details: Record<string, unknown>): MukonError =>
  new MukonError("LAUNCH_FAILED", "qemu ended", { details });

const CASES: [what: string, error: Error, machine: StartedClone | undefined, isToBlame: boolean][] =
  [
    ["a VMM that ends as it starts", launchFailed({ role: "vmm" }), undefined, true],
    ["one that is killed then", launchFailed({ role: "vmm", signal: "SIGKILL" }), undefined, false],
    ["one that crashes then", launchFailed({ role: "vmm", signal: "SIGSEGV" }), undefined, true],
    ["a keeper that ends as it starts", launchFailed({ role: "keeper" }), undefined, false],
    ["a guest that does not answer", new MukonError("GUEST_BOOT_FAILED", "silent"), CLONE, true],
    [
      "a VMM that ends later",
      new MukonError("POD_ENDED", "gone"),
      { ...CLONE, vmm: { child: ENDED } },
      true,
    ],
    [
      "one that is killed later",
      new MukonError("POD_ENDED", "gone"),
      { ...CLONE, vmm: { child: KILLED } },
      false,
    ],
    [
      "a keeper that ends later",
      new MukonError("POD_ENDED", "gone"),
      { ...CLONE, keeper: { child: ENDED } },
      false,
    ],
    [
      "the VMM as messages call it",
      new MukonError("POD_ENDED", "gone", { details: { role: "VMM" } }),
      { ...CLONE, vmm: { child: ENDED } },
      true,
    ],
    [
      "what holds the network, and ends",
      new MukonError("POD_ENDED", "gone", { details: { role: "network holder" } }),
      CLONE,
      false,
    ],
    ["passt that does not start", launchFailed({ role: "passt" }), CLONE, false],
    ["passt that is not confined", new MukonError("CONFINEMENT_BROKEN", "no"), CLONE, false],
    ["a jail that is not built", new MukonError("JAIL_NOT_BUILT", "no"), CLONE, false],
    ["a keeper that lies", new MukonError("KEEPER_PROTOCOL", "no"), CLONE, false],
    ...["ENOSPC", "EMFILE", "ENFILE", "ENOMEM"].map((code): (typeof CASES)[number] => [
      `${code} of the host`,
      Object.assign(new Error(code), { code, syscall: "open" }),
      CLONE,
      false,
    ]),
  ];

for (const [what, error, machine, isToBlame] of CASES) {
  test(`a template is ${isToBlame ? "suspected" : "not to blame"}: ${what}`, async () => {
    assert.equal(await suspectTemplate("key", machine, error), isToBlame ? "key" : undefined);
    assert.equal(await suspectTemplate(undefined, machine, error), undefined);
  });
}
