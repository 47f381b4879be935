// SPDX-License-Identifier: Apache-2.0
// The integration tests that have a meaning on another host, run there. Not among them: the guest
// image's own tests, which fetch packages, as the host has no network.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestHost } from "../host.ts";
import { startTestHost } from "../support/session.ts";

const SUITES = ["linux", "host", "vmm", "keeper", "cli", "images", "pod", "template"];
const TIMEOUT_MS = 60 * 60_000;
const SAID_CHARACTERS = 20_000;

let host: TestHost;
before(async () => {
  host = await startTestHost();
});
after(() => host?.down());

for (const suite of SUITES) {
  test(`integration tests of ${suite}, on KVM`, async () => {
    const argv = ["node", "scripts/run-tests.mjs", "--serial", `test/integration/${suite}`];
    const { code, stdout, stderr } = await host.run(argv, { timeoutMs: TIMEOUT_MS });
    assert.equal(code, 0, `${stdout.slice(-SAID_CHARACTERS)}${stderr.slice(-SAID_CHARACTERS)}`);
  });
}
