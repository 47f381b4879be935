// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { after, test } from "node:test";
import { openGuest } from "../../../guest/image/open.ts";
import { socketPair } from "../../../src/linux/descriptors.ts";
import { sealedFile, sizedMemory } from "../../../src/linux/memory-file.ts";
import { DiskSlots } from "../../../src/vmm/qemu/disk-slots.ts";
import { Disks } from "../../../src/vmm/qemu/disks.ts";
import { planQemuLaunch } from "../../../src/vmm/qemu/launch-plan.ts";
import { processorTable } from "../../../src/vmm/qemu/processor-table.ts";
import { QmpClient } from "../../../src/vmm/qemu/qmp/client.ts";
import { whyNoGuest } from "../guest/skip.ts";

const skip = await whyNoGuest();
const NOBODY = 65_534;
const MEMORY_MIB = 256;
const started: { kill: () => void }[] = [];
after(() => {
  for (const { kill } of started) kill();
});

/** QEMU as an unprivileged user, stopped before its first instruction. */
async function startStopped(imageDriver: "virtio-pmem" | "virtio-blk") {
  const guest = await openGuest();
  const plan = planQemuLaunch({
    qemuPath: "/usr/bin/qemu-system-x86_64",
    accelerator: "tcg",
    vcpus: 1,
    memoryMib: MEMORY_MIB,
    imageSizeBytes: statSync(guest.imagePath).size,
    imageDriver,
  });
  const [mine, qmp] = socketPair();
  const [agent, console] = socketPair();
  const files = [guest.kernelPath, guest.initrdPath, guest.imagePath].map((path) =>
    openSync(path, "r"),
  );
  const owner = { uid: NOBODY, gid: NOBODY };
  files.push(sizedMemory(MEMORY_MIB * 1024 * 1024, { name: "guest-memory", owner }));
  files.push(sealedFile(processorTable(1), "processors"));
  const child = spawn(
    "setpriv",
    [
      ...["--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", "--nnp"],
      ...["--bounding-set=-all", "--pdeathsig", "KILL", "--", ...plan.argv],
    ],
    { stdio: ["ignore", "ignore", "inherit", qmp, agent, console, ...files], cwd: "/" },
  );
  for (const fd of [qmp, agent, console, ...files]) closeSync(fd);
  const client = new QmpClient(new Socket({ fd: mine, readable: true, writable: true }), mine);
  started.push({ kill: () => child.kill("SIGKILL") });
  await client.handshake({ timeoutMs: 20_000 });
  return { client, child, imagePath: guest.imagePath };
}

for (const driver of ["virtio-pmem", "virtio-blk"] as const) {
  test(`QEMU takes the plan with ${driver}, and waits`, { skip }, async () => {
    const { client, child } = await startStopped(driver);
    const status = (await client.execute("query-status")) as Record<string, unknown>;
    assert.equal(status.status, "prelaunch");
    const facts = readFileSync(`/proc/${child.pid}/status`, "utf8");
    assert.match(facts, /^Seccomp:\t2$/m);
    client.close();
    child.kill("SIGKILL");
  });
}

test("the guest image is mapped without the right to write, and shared", { skip }, async () => {
  const { client, child, imagePath } = await startStopped("virtio-pmem");
  const maps = readFileSync(`/proc/${child.pid}/maps`, "utf8").split("\n");
  const ofImage = maps.filter((line) => line.endsWith(imagePath));
  assert.ok(ofImage.length > 0);
  for (const line of ofImage) assert.match(line, / r--s /);
  client.close();
  child.kill("SIGKILL");
});

test("a root-only disk is plugged in by descriptor, with just the access it may have", {
  skip,
}, async () => {
  const { client, child } = await startStopped("virtio-pmem");
  const disks = new Disks(client, new DiskSlots());
  const { busyboxPath } = await openGuest();
  const disk = openSync(busyboxPath, "r");
  // As many as there are places, since each has an address of its own.
  for (let count = 0; count < 62; count += 1) {
    await disks.attach({ diskId: `layer${count}`, descriptor: disk, readOnly: true });
  }
  closeSync(disk);
  const nodes = (await client.execute("query-named-block-nodes", { flat: true })) as {
    "node-name": string;
    ro: boolean;
  }[];
  const ours = nodes.filter((node) => node["node-name"].startsWith("n-layer"));
  assert.equal(ours.length, 62);
  assert.ok(ours.every(({ ro }) => ro));
  client.close();
  child.kill("SIGKILL");
});
