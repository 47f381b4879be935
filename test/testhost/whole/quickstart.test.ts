// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startHost, type TestHost } from "../host.ts";
import { check } from "../support/session.ts";

let host: TestHost;
before(async () => {
  const log = (line: string): void => console.log(`testhost: ${line}`);
  host = await startHost({ endsWithCaller: true, log });
});
after(() => host?.down());

test("quickstart ends with a container on KVM, and shows that it is", async () => {
  const { code, stdout, stderr } = await host.run(["scripts/quickstart"]);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /Hello from inside the VM/);
  assert.match(stdout, /^Sandbox .* \(qemu, kvm, rootless\)$/m);
  assert.match(stdout, /All promises are kept/);
  assert.match(await host.output(["systemctl", "is-enabled", "mukon-gc.service"]), /^enabled/);
});

test("what it installed finds nothing lacking, and it can be run again", async () => {
  const { code } = await check(host);
  assert.equal(code, 0);
  const again = await host.run(["scripts/quickstart"]);
  assert.equal(again.code, 0, again.stdout + again.stderr);
  assert.match(again.stdout, /Hello from inside the VM/);
});
