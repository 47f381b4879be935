// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { playAgent } from "../support/fake-agent.ts";
import { FakeQemu } from "../support/fake-qemu.ts";
import { startKeeper } from "../support/keeper-in-hand.ts";

const RUNS = 30;
const STDIO = { terminal: false, stdin: false, stdout: true, stderr: true };

/** Replies that an agent could give if it were somebody else's. */
const wickedReply = fc.record({
  data: fc.uint8Array({ maxLength: 300 }),
  status: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  containerId: fc.constantFrom("c1", "", "../..", "\u001b[2J"),
  len: fc.nat(),
});
const frames = fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 5 });

test("whatever the guest sends, the keeper neither fails nor breaks its own rules", async () => {
  const unforeseen: unknown[] = [];
  const note = (error: unknown): void => {
    unforeseen.push(error);
  };
  process.on("unhandledRejection", note);
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(wickedReply, { minLength: 1 }), frames, async (replies, junk) => {
        const keeper = startKeeper(new FakeQemu());
        let count = 0;
        playAgent(keeper.agent, (method) =>
          method === "Check" ? { status: 1 } : replies[count++ % replies.length],
        );
        await keeper.client.boot({ timeoutMs: 5000 });
        const spec = { ociVersion: "1.0.2", process: { args: ["a"], cwd: "/" } };
        const calls = Promise.allSettled([
          keeper.client.prepareSandbox({ sandboxId: "p", hostname: "h", dns: [] }),
          keeper.client
            .createContainer({
              containerId: "c1",
              layers: [{ source: "05/01" }],
              stdio: { ...STDIO, stdout: false, stderr: false },
              spec,
            })
            .then(() => keeper.client.startContainer({ containerId: "c1" })),
          keeper.client.stats({ containerId: "c1" }),
        ]);
        for (const bytes of junk) keeper.agent.say(bytes);
        keeper.console.write(Buffer.concat(junk));
        await new Promise((resolve) => setTimeout(resolve, 5));
        keeper.agent.hangUp();
        await calls;
        await keeper.stop();
        // The client checks each message against the schema.
        assert.equal((await keeper.client.closed).violation, undefined);
      }),
      { numRuns: RUNS },
    );
  } finally {
    process.off("unhandledRejection", note);
  }
  assert.deepEqual(unforeseen, []);
});
