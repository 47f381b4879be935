// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { openGuest } from "../../../guest/image/open.ts";
import { AgentService } from "../../../src/generated/agent/agent_pb.ts";
import { StatusCode } from "../../../src/ttrpc/status.ts";
import { GuestContainers } from "../../support/guest-containers.ts";
import { GuestVm } from "../../support/guest-vm.ts";
import { whyNoGuest } from "./skip.ts";

const { method } = AgentService;
const missing = await whyNoGuest();
const MIB = 1024 * 1024;
/** Echoes its signal and says how it ended. */
const TRAP = "trap 'echo got TERM; exit 3' TERM; echo up; while :; do sleep 0.1; done";

describe("containers in a guest", { skip: missing ?? false, timeout: 300_000 }, () => {
  let vm: GuestVm;
  let guest: GuestContainers;
  before(async () => {
    const { busyboxPath } = await openGuest();
    vm = await GuestVm.start({ disks: [{ path: busyboxPath, isReadOnly: true }] });
    guest = new GuestContainers(vm.client);
    const sandbox = { hostname: "pod-1", dns: ["nameserver 10.1.2.3"], sandboxId: "pod" };
    await vm.client.call(method.createSandbox, sandbox);
  });
  after(() => vm?.stop());

  test("output, error output and exit code come out", async () => {
    const script = "echo out; echo err >&2; hostname; cat /etc/resolv.conf; exit 7";
    const result = await guest.output("basic", ["sh", "-c", script]);
    assert.equal(result.stdout, "out\npod-1\nnameserver 10.1.2.3\n");
    assert.deepEqual([result.stderr, result.code], ["err\n", 7]);
  });

  test("the standard streams can be opened by name", async () => {
    const result = await guest.output("names", [
      "sh",
      "-c",
      "echo a >/dev/stdout; echo b >/dev/stderr",
    ]);
    assert.deepEqual([result.stdout, result.stderr], ["a\n", "b\n"]);
  });

  test("input reaches the process, and its end too", async () => {
    await guest.run("input", { args: ["cat"] });
    assert.equal(await guest.write("hello ", "input"), 6);
    await guest.write(Buffer.alloc(300_000, 0x61), "input");
    await guest.closeInput("input");
    assert.equal(await guest.readAll("input"), `hello ${"a".repeat(300_000)}`);
    assert.equal(await guest.wait("input"), 0);
    await guest.remove("input");
  });

  test("one hundred megabytes come out whole, while other calls are answered", async () => {
    const script = "yes 0123456789abcdef0123456789abcdef | dd bs=64k count=1600 iflag=fullblock";
    await guest.run("flood", { args: ["sh", "-c", script] });
    const hash = createHash("sha256");
    let total = 0;
    for (let part = await guest.read("flood"); part.length > 0; part = await guest.read("flood")) {
      hash.update(part);
      total += part.length;
      if (total % (10 * MIB) === 0)
        await vm.client.call(method.statsContainer, { containerId: "flood" });
    }
    const line = Buffer.from("0123456789abcdef0123456789abcdef\n");
    const expected = Buffer.alloc(100 * MIB, line);
    assert.equal(total, expected.length);
    assert.equal(hash.digest("hex"), createHash("sha256").update(expected).digest("hex"));
    assert.equal(await guest.wait("flood"), 0);
    await guest.remove("flood");
  });

  test("signals arrive, and end with 128 and their number when nobody takes them", async () => {
    await guest.run("signals", { args: ["sh", "-c", TRAP] });
    await guest.readUntil("up", "signals");
    await guest.exec("signals", "sleeper", { args: ["sleep", "1000"] });
    await guest.signal("signals", 15, "sleeper");
    assert.equal(await guest.wait("signals", "sleeper"), 143);
    await guest.signal("signals", 15, "signals");
    assert.equal(await guest.readUntil("TERM", "signals"), "got TERM\n");
    assert.equal(await guest.wait("signals"), 3);
    await assert.rejects(guest.signal("signals", 15, "signals"), /ESRCH: No such process/);
    await guest.remove("signals");
  });

  test("a kill without exec id ends every process, frozen ones too", async () => {
    await guest.run("all", { args: ["sh", "-c", "sleep 1000 & sleep 1000"] });
    await vm.client.call(method.pauseContainer, { containerId: "all" });
    await guest.signal("all", 9);
    assert.equal(await guest.wait("all"), 137);
    await guest.remove("all");
  });

  test("a terminal has a size, echoes, and ends with its process", async () => {
    await guest.create("terminal", { args: ["sh"], isTerminal: true });
    const size = { containerId: "terminal", execId: "terminal", row: 33, column: 77 };
    await vm.client.call(method.ttyWinResize, size);
    await vm.client.call(method.startContainer, { containerId: "terminal" });
    await guest.write("stty size; tty; exit 5\n", "terminal");
    const output = await guest.readAll("terminal");
    assert.match(output, /33 77\r\n\/dev\/(pts\/0|console)\r\n/);
    assert.equal(await guest.wait("terminal"), 5);
    await guest.remove("terminal");
  });

  test("exec: own streams, own code, the container's hostname, and no protection of the agent", async () => {
    await guest.run("host", { args: ["sleep", "1000"] });
    const script = "cat; hostname; cat /proc/self/oom_score_adj; echo err >&2; exit 42";
    await guest.exec("host", "e1", { args: ["sh", "-c", script] });
    await guest.write("in\n", "host", "e1");
    await guest.closeInput("host", "e1");
    assert.equal(await guest.readAll("host", "e1"), "in\npod-1\n0\n");
    assert.equal(await guest.readAll("host", "e1", "Stderr"), "err\n");
    assert.equal(await guest.wait("host", "e1"), 42);

    await guest.exec("host", "e2", { args: ["sh", "-c", "sleep 1000 & echo left one behind"] });
    assert.equal(await guest.readAll("host", "e2"), "left one behind\n");
    assert.equal(await guest.wait("host", "e2"), 0);

    await guest.exec("host", "e3", { args: ["sh"], isTerminal: true });
    await guest.write("echo $((6*7)); exit 6\n", "host", "e3");
    assert.match(await guest.readAll("host", "e3"), /\r\n42\r\n/);
    assert.equal(await guest.wait("host", "e3"), 6);

    const notThere = await guest.exec("host", "e4", { args: ["/no/such"] }).catch((error) => error);
    assert.equal(notThere.status, StatusCode.NOT_FOUND);
    await guest.remove("host");
  });

  test("containers that are asked to share see the processes of the pod's first one", async () => {
    await guest.run("pause", { args: ["sleep", "1000"] });
    const shared = await guest.output("shared", ["ps", "-o", "args"], { sandboxPidns: true });
    assert.match(shared.stdout, /sleep 1000/);
    const apart = await guest.output("apart", ["ps", "-o", "args"]);
    assert.doesNotMatch(apart.stdout, /sleep 1000/);
    await guest.remove("pause");
  });

  test("a read-only container cannot write to its root", async () => {
    const result = await guest.output("read-only", ["touch", "/x"], { isReadOnly: true });
    assert.match(result.stderr, /Read-only file system/);
    assert.equal(result.code, 1);
  });

  test("the guest's disks are out of reach", async () => {
    const script = "mknod /tmp/disk b 254 0; dd if=/tmp/disk count=1";
    const result = await guest.output("disks", ["sh", "-c", script]);
    assert.match(result.stderr, /Operation not permitted/);
  });

  test("mistakes are answered with what is wrong, and nothing of them stays", async () => {
    const missing = await guest.create("wrong", { args: ["/none"] }).catch((error) => error);
    assert.equal(missing.status, StatusCode.NOT_FOUND);
    assert.match(missing.message, /\/none/);
    const outside = vm.client.call(method.createContainer, { containerId: "../x" });
    await assert.rejects(outside, /is no identifier/);
    await assert.rejects(guest.wait("nobody"), /is not in this guest/);
    const result = await guest.output("wrong", ["echo", "now it works"]);
    assert.equal(result.stdout, "now it works\n");
  });
});
