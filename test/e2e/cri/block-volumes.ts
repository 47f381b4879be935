// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { CriNode } from "../../support/cri/node.ts";
import type { CriPod } from "../../support/cri/pod.ts";
import { diskImage, freeLoopDevice, loopDevice, permissionsOf } from "../../support/loop-device.ts";

const AS_ROOT_ALONE = { mebibytes: 16, isFormatted: false };

/** What kubelet asks for where a volume is given as a device (`volumeDevices`). */
export function blockVolumes(getNode: () => CriNode): void {
  suite("block volumes", () => {
    let pod: CriPod;
    before(async () => {
      pod = await getNode().runPod("block");
    });
    after(async () => await pod?.remove());

    test("a device of the node's is the container's disk, and the node's stays as it is", async (t) => {
      const directory = getNode().world.directory;
      const image = await diskImage(join(directory, "written.img"), AS_ROOT_ALONE);
      const other = await diskImage(join(directory, "read.img"), AS_ROOT_ALONE);
      const devices = [await loopDevice(image), await loopDevice(other)];
      t.after(async () => {
        for (const device of devices) if (device !== undefined) await freeLoopDevice(device);
      });
      const [written, read] = devices;
      if (written === undefined || read === undefined) return t.skip("no loop device is free");
      const before = devices.map((device) => permissionsOf(device ?? ""));

      const id = await pod.start("user", ["sleep", "100000"], {
        devices: [
          { hostPath: written, containerPath: "/dev/data", permissions: "mrw" },
          { hostPath: read, containerPath: "/dev/other", permissions: "r" },
        ],
      });
      await pod.sh(id, "echo kept on the volume | busybox dd of=/dev/data conv=notrunc,fsync");
      assert.equal(await pod.sh(id, "head -c 19 /dev/data"), "kept on the volume\n");
      await assert.rejects(pod.sh(id, "echo no > /dev/other"));
      assert.equal(readFileSync(written).subarray(0, 19).toString(), "kept on the volume\n");
      assert.deepEqual(
        devices.map((device) => permissionsOf(device ?? "")),
        before,
      );
    });
  });
}
