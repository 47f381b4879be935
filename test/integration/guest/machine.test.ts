// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openGuest } from "../../../guest/image/open.ts";
import { AgentService } from "../../../src/generated/agent/agent_pb.ts";
import { Health } from "../../../src/generated/agent/health_pb.ts";
import { run } from "../../../src/linux/run.ts";
import { BAY_PCI_PATH } from "../../../src/vmm/qemu/bay.ts";
import { GuestContainers } from "../../support/guest-containers.ts";
import { GuestVm, pciPathOf } from "../../support/guest-vm.ts";
import { whyNoGuest } from "./skip.ts";

const { method } = AgentService;
const missing = await whyNoGuest();
const MIB = 1024n * 1024n;
const SHARED = "/run/kata-containers/shared/containers";
const FLOOD_MS = 5000;
const PROMPT_MS = 5000;

describe("the guest as a machine", { skip: missing ?? false, timeout: 300_000 }, () => {
  const work = mkdtempSync(join(tmpdir(), "mukon-machine-"));
  let vm: GuestVm;
  let guest: GuestContainers;
  let busyboxPath = "";
  before(async () => {
    ({ busyboxPath } = await openGuest());
    vm = await GuestVm.start({ disks: [{ path: busyboxPath, isReadOnly: true }] });
    guest = new GuestContainers(vm.client);
    await vm.client.call(method.createSandbox, { hostname: "pod", sandboxId: "pod" });
  });
  after(async () => {
    await vm?.stop();
    rmSync(work, { recursive: true, force: true });
  });

  const assertPrompt = async (): Promise<void> => {
    await vm.client.call(Health.method.check, {}, { timeoutMs: PROMPT_MS });
  };

  test("disks that are plugged in later become root file systems, with a scratch disk on top", async () => {
    const scratch = join(work, "scratch.img");
    writeFileSync(scratch, "");
    truncateSync(scratch, Number(64n * MIB));
    await run(["/usr/sbin/mkfs.ext4", "-q", scratch]);
    await vm.plug({ path: busyboxPath, isReadOnly: true }, 1);
    const isPlugged = vm.plug({ path: scratch, isReadOnly: false }, 2);
    const disks = { layer: pciPathOf(1), scratch: pciPathOf(2) };
    const script = "echo kept > /file; cat /file; grep ' / ' /proc/mounts; df -m / | tail -1";
    const result = await guest.output("scratch", ["sh", "-c", script], disks);
    await isPlugged;
    assert.match(result.stdout, /^kept\noverlay \/ overlay rw/);
  });

  test("a disk in the bay is found, also where the guest was not told of it", async () => {
    await vm.fillBay({ path: busyboxPath, isReadOnly: true });
    const disks = { layer: BAY_PCI_PATH };
    const script = "cat /sys/class/block/vda/ro; echo from the bay";
    const result = await guest.output("bay", ["sh", "-c", script], disks);
    assert.match(result.stdout, /^1\nfrom the bay/);
  });

  test("a container that meets its memory limit is killed, and that is told before its end", async () => {
    const told = vm.client.call(method.getOOMEvent, {});
    const resources = { Memory: { Limit: 32n * MIB } };
    await guest.run("oom", { args: ["sh", "-c", "x=a; while :; do x=$x$x; done"], resources });
    assert.equal(await guest.wait("oom"), 137);
    assert.equal((await told).containerId, "oom");
    await guest.remove("oom");
  });

  test("limits can be read back and changed while the container runs", async () => {
    const resources = { Memory: { Limit: 64n * MIB }, Pids: { Limit: 20n } };
    await guest.run("limits", { args: ["sleep", "1000"], resources });
    const limitsOf = async () => {
      const reply = await vm.client.call(method.statsContainer, { containerId: "limits" });
      const stats = reply.cgroupStats;
      return [stats?.memoryStats?.usage?.limit, stats?.pidsStats?.limit, stats?.pidsStats?.current];
    };
    assert.deepEqual(await limitsOf(), [64n * MIB, 20n, 1n]);
    const changed = { Memory: { Limit: 96n * MIB }, Pids: { Limit: 30n } };
    await vm.client.call(method.updateContainer, { containerId: "limits", resources: changed });
    assert.deepEqual(await limitsOf(), [96n * MIB, 30n, 1n]);
    await guest.remove("limits");
  });

  test("a paused container stands still", async () => {
    await guest.run("ticks", { args: ["sh", "-c", "while echo tick; do sleep 0.05; done"] });
    await guest.readUntil("tick", "ticks");
    await vm.client.call(method.pauseContainer, { containerId: "ticks" });
    let next = guest.read("ticks");
    const isAnswered = () => Promise.race([next.then(() => true), delay(700).then(() => false)]);
    // What was written before the pause may still come, but that ends.
    for (let index = 0; (await isAnswered()) && index < 3; index += 1) next = guest.read("ticks");
    assert.equal(await isAnswered(), false);
    await vm.client.call(method.resumeContainer, { containerId: "ticks" });
    assert.match((await next).toString(), /tick/);
    await guest.remove("ticks");
  });

  test("the agent outlives a container that forks without end", async () => {
    await guest.run("forks", { args: ["sh", "-c", "f() { f | f & }; f; sleep 1000"] });
    await delay(FLOOD_MS);
    await assertPrompt();
    await guest.signal("forks", 9);
    assert.equal(await guest.wait("forks"), 137);
    await guest.remove("forks");
  });

  test("the agent outlives a container that fills the guest's memory", async () => {
    const fill =
      "for i in 1 2 3 4; do dd if=/dev/zero of=/dev/$i bs=1M count=200; done; sleep 1000";
    await guest.run("fill", {
      args: ["sh", "-c", `(${fill}) & dd if=/dev/zero of=/f bs=1M; sleep 9`],
    });
    await delay(FLOOD_MS);
    await assertPrompt();
    await guest.remove("fill");
    assert.equal((await guest.output("after", ["echo", "fine"])).stdout, "fine\n");
  });

  test("the agent outlives a flood of output that nobody reads", async () => {
    await guest.run("yes", { args: ["sh", "-c", "yes & yes >&2"] });
    await delay(2000);
    await assertPrompt();
    const { metrics } = await vm.client.call(method.getMetrics, {});
    const resident = Number(/^kata_agent_process_resident_memory_bytes (\d+)$/m.exec(metrics)?.[1]);
    assert.ok(resident > 0 && resident < 150e6, `the agent uses ${resident} bytes`);
    await guest.remove("yes");
  });

  test("clock and random numbers are set by the host", async () => {
    await vm.client.call(method.setGuestDateTime, { Sec: 1_893_456_000n, Usec: 5n });
    assert.match((await guest.output("date", ["date", "-u"])).stdout, /00:00:0\d UTC 2030/);
    await vm.client.call(method.reseedRandomDev, { data: Buffer.alloc(32, 7) });
    await assert.rejects(vm.client.call(method.reseedRandomDev, {}), /a seed has/);
  });

  test("files come in parts, with owner and mode, and only where they may", async () => {
    const path = `${SHARED}/dir/secret`;
    const owner = { fileMode: 0o100640, dirMode: 0o755, uid: 5, gid: 6, fileSize: 10n };
    await vm.client.call(method.copyFile, { ...owner, path, data: Buffer.from("hello") });
    await vm.client.call(method.copyFile, {
      ...owner,
      path,
      data: Buffer.from("world"),
      offset: 5n,
    });
    const source = `${SHARED}/dir`;
    const mounts = [{ destination: "/mnt", source, type: "bind", options: ["rbind", "ro"] }];
    const show = "cat /mnt/secret; stat -c ' %u %g %a' /mnt/secret; touch /mnt/x";
    const result = await guest.output("copied", ["sh", "-c", show], { mounts });
    assert.equal(result.stdout, "helloworld 5 6 640\n");
    assert.match(result.stderr, /Read-only/);
    for (const bad of ["/etc/passwd", `${SHARED}/../../../../etc/x`]) {
      await assert.rejects(
        vm.client.call(method.copyFile, { ...owner, path: bad }),
        /is not below/,
      );
    }
  });

  test("volumes of the guest's own are made, shared and taken away", async () => {
    const mountPoint = "/run/kata-containers/sandbox/ephemeral/cache";
    const storage = { driver: "ephemeral", source: "tmpfs", fstype: "tmpfs", mountPoint };
    const storages = [{ ...storage, options: ["size=1m", "fsgid=77"] }];
    const mounts = [
      { destination: "/cache", source: mountPoint, type: "bind", options: ["rbind"] },
    ];
    await guest.run("holder", { args: ["sleep", "1000"], storages, mounts });
    const write = "echo shared > /cache/f; stat -c '%g' /cache/f; df -k /cache | tail -1";
    const result = await guest.output("writer", ["sh", "-c", write], { storages, mounts });
    assert.match(result.stdout, /^77\ntmpfs +1024 /);
    await guest.exec("holder", "look", { args: ["cat", "/cache/f"] });
    assert.equal(await guest.readAll("holder", "look"), "shared\n");
    await guest.remove("holder");
    const again = await guest.output("again", ["ls", "/cache"], { storages, mounts });
    assert.equal(again.stdout, "");
  });

  test("interfaces are listed and set", async () => {
    const addresses = [{ address: "10.9.8.7", mask: "24" }];
    const wanted = { device: "lo", name: "lo", IPAddresses: addresses, mtu: 60_000n };
    await vm.client.call(method.updateInterface, { interface: wanted });
    const { Interfaces } = await vm.client.call(method.listInterfaces, {});
    const lo = Interfaces.find((card) => card.name === "lo");
    assert.equal(lo?.mtu, 60_000n);
    assert.ok(lo?.IPAddresses.some((entry) => entry.address === "10.9.8.7" && entry.mask === "24"));
    const Routes = [{ dest: "10.77.0.0/16", device: "lo" }];
    await vm.client.call(method.updateRoutes, { routes: { Routes } });
    const listed = await vm.client.call(method.listRoutes, {});
    assert.ok(
      listed.Routes.some((route) => route.dest === "10.77.0.0/16" && route.device === "lo"),
    );
  });

  test("what this guest is, and that it is well", async () => {
    const details = await vm.client.call(method.getGuestDetails, { memBlockSize: true });
    assert.ok(details.memBlockSizeBytes > 0n);
    assert.ok(details.agentDetails?.storageHandlers.includes("blk"));
    const version = await vm.client.call(Health.method.version, {});
    assert.match(version.agentVersion, /^\d+\.\d+\.\d+$/);
    await vm.client.call(method.onlineCPUMem, { nbCpus: 1 });
    await assert.rejects(vm.client.call(method.setPolicy, { policy: "x" }), /not served/);
  });

  test("another host can take over: nothing meant for it is lost", async () => {
    await guest.run("talk", { args: ["sh", "-c", "sleep 2; echo later; sleep 1000"] });
    const abandoned = guest.read("talk").catch(() => undefined);
    guest.client = await vm.reconnect();
    await abandoned;
    assert.equal(await guest.readUntil("later", "talk"), "later\n");
    await guest.remove("talk");
  });

  test("the end of the sandbox ends its containers", async () => {
    await guest.run("last", { args: ["sleep", "1000"] });
    await vm.client.call(method.destroySandbox, {}, { timeoutMs: 30_000 });
    await assert.rejects(guest.wait("last"), /is not in this guest/);
    assert.ok(vm.isRunning);
  });
});
