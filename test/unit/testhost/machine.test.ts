// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { forwardedPort, machineArguments } from "../../testhost/machine.ts";

const PATHS = {
  kernel: "/kernel",
  initrd: "/initrd",
  disk: "/root.ext4",
  isDiskWritten: false,
  checkout: "/checkout.img",
  guest: "/guest.img",
  spare: "/spare.img",
  console: "/console",
  qmpSocket: "/qmp.sock",
};

/** The disks whose files QEMU may change. */
function writtenDisks(argv: readonly string[]): string[] {
  return argv.filter((word) => word.startsWith("file=") && !word.includes("snapshot=on"));
}

test("a host that runs changes no file of the cache; only the first boot writes its disk", () => {
  assert.deepEqual(writtenDisks(machineArguments(PATHS)), []);
  const written = writtenDisks(machineArguments({ ...PATHS, isDiskWritten: true }));
  assert.equal(written.length, 1);
  assert.match(written[0] ?? "", /^file=\/root\.ext4,/);
});

test("the host has no network but a port on loopback, which the kernel chooses", () => {
  const networks = machineArguments(PATHS).filter((word) => word.startsWith("user,"));
  assert.equal(networks.length, 2);
  for (const network of networks) assert.match(network, /restrict=on/);
  const forwards = networks.flatMap((network) => network.match(/hostfwd=[^,]*/g) ?? []);
  assert.deepEqual(forwards, ["hostfwd=tcp:127.0.0.1:0-:22"]);
});

test("the IOMMU comes before the devices that it looks after", () => {
  const devices = machineArguments(PATHS).filter((_, index, all) => all[index - 1] === "-device");
  assert.match(devices[0] ?? "", /^intel-iommu/);
  assert.equal(devices.filter((device) => device.includes("iommu_platform=on")).length, 2);
});

test("the port is read out of QEMU's list of connections", () => {
  const text = `Hub -1 (net):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   31       127.0.0.1 22         10.0.2.15    22     0     0
  TCP[HOST_FORWARD]  13       127.0.0.1 38745      10.0.2.15    22     0     0
`;
  assert.equal(forwardedPort(text), 38745);
  assert.equal(forwardedPort("Hub -1 (net):\n"), undefined);
});
