// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { diskImage } from "../../support/loop-device.ts";
import { mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

let world: PodWorld;
before(() => {
  world = new PodWorld();
  world.configure({ "hypervisor.qemu": { block_device_driver: "virtio-scsi" } });
});
after(() => world.end());

async function inPod(script: string): Promise<string> {
  const { code, stdout, stderr } = await mukon(["exec", "scsi", "sh", "-c", script]);
  assert.equal(code, 0, stderr);
  return stdout;
}

test("all disks of a pod are SCSI disks where the configuration says so", async (t) => {
  const make = (name: string, isFormatted: boolean): Promise<string> =>
    diskImage(join(world.directory, name), { mebibytes: 16, isFormatted });
  const [raw, locked] = [await make("raw.img", false), await make("locked.img", false)];
  const volume = await make("volume.img", true);
  writeFileSync(locked, "read me", { flag: "r+" });
  const options = [
    ...["--scratch", "64m", "--device", `${raw}:/dev/xvda`, "--device", `${locked}:/dev/xvdb:r`],
    ...["--mount", `type=ext4,source=${volume},target=/data`],
  ];
  await world.start("scsi", [...options, "busybox", "sleep", "1000"]);

  await t.test("the guest has no others, and each where its address is", async () => {
    // A layer, the scratch disk, two devices and a volume.
    assert.equal(await inPod("ls /sys/class/block | grep -c '^sd'"), "5\n");
    assert.equal(await inPod("cat /sys/class/block/vd*/size"), "0\n", "more than an empty bay");
    const addresses = await inPod("ls /sys/bus/scsi/devices | grep '^[0-9]*:0:' | cut -d: -f3-");
    assert.deepEqual(addresses.trim().split("\n").sort(), ["0:0", "0:1", "0:2", "0:3", "0:4"]);
  });

  await t.test("they are read and written, or read alone, as they were given", async () => {
    await inPod("echo written | dd of=/dev/xvda bs=512 seek=8 conv=sync,fsync 2>&1");
    assert.equal(readFileSync(raw).subarray(4096, 4103).toString(), "written");
    const script = "head -c 7 /dev/xvdb; dd if=/dev/zero of=/dev/xvdb bs=512 count=1 2>&1 || true";
    assert.match(await inPod(script), /^read me.*(Operation not permitted|Read-only)/s);
    assert.match(
      await inPod("echo kept >/data/file; sync; grep ' /data ' /proc/mounts"),
      / ext4 rw,/,
    );
  });

  await t.test("one that grows does so for a container that runs", async () => {
    truncateSync(raw, 24 * 2 ** 20);
    await inPod("until cat /sys/class/block/sd?/size | grep -qx 49152; do sleep 0.2; done");
  });

  assert.equal((await mukon(["rm", "--force", "scsi"])).code, 0);
  const mount = ["--mount", `type=ext4,source=${volume},target=/data,readonly`];
  const again = await mukon(["run", "--rm", ...mount, "busybox", "cat", "/data/file"]);
  assert.equal(again.stdout, "kept\n", again.stderr);
  await world.assertNothingLeft();
});
