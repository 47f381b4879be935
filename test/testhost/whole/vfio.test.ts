// SPDX-License-Identifier: Apache-2.0
// A disk and a network card of the host's are given to a pod, and come back.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestHost } from "../host.ts";
import { nodeFacts, startTestHost } from "../support/session.ts";

const ROOT_ALONE = "root:root 600 character special file";
/** The host has 3.5 GiB, and all of a guest's memory is pinned. */
const SMALL = `printf '[hypervisor.qemu]\\ndefault_memory = 512\\n' >/etc/mukon/config.d/zz-small.toml`;
const GIVE = `set -e
cd /sys/bus/pci/devices/$1
echo vfio-pci >driver_override
echo $1 >driver/unbind
echo $1 >/sys/bus/pci/drivers_probe
basename $(readlink iommu_group)`;
const TAKE_BACK = `set -e
cd /sys/bus/pci/devices/$1
echo >driver_override
echo $1 >driver/unbind
echo $1 >/sys/bus/pci/drivers_probe
basename $(readlink driver)`;
const RUN = ["mukon", "run", "--detach", "--name"];

let host: TestHost;
let [disk, card] = ["", ""];
let [diskNode, cardNode] = ["", ""];
let container = "";
before(async () => {
  host = await startTestHost();
  await sh(SMALL);
  disk = await addressOf("/sys/class/block/$(basename $(readlink /dev/disk/by-id/virtio-spare))");
  card = await addressOf("/sys/class/net/eth1");
  await sh("printf 'from the host' | dd of=/dev/disk/by-id/virtio-spare conv=notrunc,fsync");
  diskNode = `/dev/vfio/${await sh(GIVE, disk)}`;
  cardNode = `/dev/vfio/${await sh(GIVE, card)}`;
  container = await nodeFacts(host, "/dev/vfio/vfio");
  await assertNodesOfHost();
});
after(() => host?.down());

/** As they were before any pod was given one. */
async function assertNodesOfHost(): Promise<void> {
  for (const node of [diskNode, cardNode]) assert.equal(await nodeFacts(host, node), ROOT_ALONE);
  assert.equal(await nodeFacts(host, "/dev/vfio/vfio"), container);
}

async function sh(script: string, ...words: string[]): Promise<string> {
  return (await host.output(["sh", "-c", script, "sh", ...words])).trim();
}

/** Of the PCI device that a device of a virtio driver's belongs to. */
async function addressOf(device: string): Promise<string> {
  return await sh(`basename $(dirname $(readlink -f ${device}/device))`);
}

async function inPod(script: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(["mukon", "exec", "given", "sh", "-c", script]);
  assert.equal(code, 0, stderr);
  return stdout;
}

test("a pod is given a disk of the host's, which its guest drives, reads and writes", async () => {
  const argv = [...RUN, "given", "--device", diskNode, "--device", cardNode];
  const { code, stderr } = await host.run([...argv, "busybox", "sleep", "1000"]);
  assert.equal(code, 0, stderr);
  assert.equal(await inPod("cat /dev/vd* | head -c 13"), "from the host");
  await inPod("printf 'from the guest' | dd of=$(ls /dev/vd*) bs=512 seek=8 conv=fsync 2>&1");
});

test("the card is the guest's, beside its loopback", async () => {
  const found = await inPod("for one in /sys/class/net/*; do basename $one; done");
  assert.match(found, /^eth\d$/m);
});

test("its VMM has nodes of its own for that, and the host's stay root's alone", async () => {
  const [{ sandbox }] = JSON.parse(await host.output(["mukon", "inspect", "given"]));
  const { pid } = sandbox.processes.vmm;
  const { uid } = sandbox.identity.vmm;
  await assertNodesOfHost();
  for (const node of [diskNode, cardNode]) {
    const own = await sh(`stat --format '%u:%g %a' /proc/${pid}/root${node}`);
    assert.equal(own, `${uid}:${uid} 600`);
  }
  const nodes = await sh(`ls /proc/${pid}/root/dev/vfio`);
  assert.deepEqual(
    nodes.split("\n").sort(),
    [
      "vfio",
      ...[diskNode, cardNode].map((one) => one.slice("/dev/vfio/".length)),
      disk,
      card,
    ].sort(),
  );
  const options = await sh(`grep ' /jail/dev/vfio \\| /dev/vfio ' /proc/${pid}/mountinfo`);
  assert.match(options, / ro,nosuid,noexec/);
  const limit = await sh(`grep 'Max locked memory' /proc/${pid}/limits`);
  const bytes = Number(/(\d+)\s+\d+\s+bytes/.exec(limit)?.[1]);
  assert.ok(bytes > 512 * 2 ** 20 && bytes < 1024 * 2 ** 20, limit);
});

test("every promise is kept with them", async () => {
  const reports = JSON.parse(await host.output(["mukon", "audit", "--json", "given"]));
  assert.equal(reports[0].isKept, true, JSON.stringify(reports[0], null, 2));
});

test("a second pod is not given the same device", async () => {
  const { code, stderr } = await host.run([
    ...RUN,
    "second",
    "--device",
    diskNode,
    "busybox",
    "true",
  ]);
  assert.equal(code, 125);
  assert.match(stderr, /VFIO_DEVICE_BUSY/);
  assert.match(await inPod("ls /dev/vd*"), /^\/dev\/vd\w$/m, "the first one has lost it");
  await assertNodesOfHost();
});

test("where the configuration gives no devices, a pod that asks for one is refused", async () => {
  await sh(
    `printf '[hypervisor.qemu]\\nhot_plug_vfio = "no-port"\\n' >/etc/mukon/config.d/zz-off.toml`,
  );
  const { code, stderr } = await host.run([...RUN, "off", "--device", diskNode, "busybox", "true"]);
  await sh("rm /etc/mukon/config.d/zz-off.toml");
  assert.equal(code, 125);
  assert.match(stderr, /VFIO_OFF/);
});

test("with the pod's end the devices are free, and the host has them back with what the guest wrote", async () => {
  await host.output(["mukon", "rm", "--force", "given"]);
  await assertNodesOfHost();
  assert.equal(await sh(TAKE_BACK, disk), "virtio-pci");
  assert.equal(await sh(TAKE_BACK, card), "virtio-pci");
  await sh("udevadm settle");
  const read = "dd if=/dev/disk/by-id/virtio-spare bs=512 skip=8 count=1 status=none | head -c 14";
  assert.equal(await sh(read), "from the guest");
});
