// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OciSpec } from "../../../src/guest-protocol/oci-spec.ts";
import { planDevices } from "../../../src/shim/task/host-devices.ts";
import { FakeShim } from "./fake-pod.ts";

const NODE = { path: "/dev/vfio/7", type: "c", major: "244", minor: "0" };
const RULE = { allow: true, type: "c", major: "244", minor: "0", access: "rwm" };
const SPEC: OciSpec = { ociVersion: "1.1.0" };

function planned(linux: NonNullable<OciSpec["linux"]>): unknown {
  return planDevices({ ...SPEC, linux }).devices;
}

test("a VFIO group is given where a rule of its own allows it", () => {
  assert.deepEqual(planned({ devices: [NODE], resources: { devices: [RULE] } }), [
    { node: { major: 244, minor: 0 }, destination: "/dev/vfio/7" },
  ]);
});

test("what comes in by a wildcard, is forbidden, or is something else, stays the host's", () => {
  for (const rule of [
    { allow: true, access: "rwm" },
    { ...RULE, allow: false },
    { ...RULE, minor: "1" },
  ]) {
    assert.deepEqual(planned({ devices: [NODE], resources: { devices: [rule] } }), []);
  }
  for (const change of [{ path: "/dev/vfio/vfio" }, { path: "/dev/kvm" }, { type: "b" }]) {
    const devices = [{ ...NODE, ...change }];
    assert.deepEqual(planned({ devices, resources: { devices: [RULE] } }), []);
  }
  // A bind mount of what is no node of the host's is left to who mounts.
  const mounts = [{ destination: "/x", source: "/dev/null", type: "bind", options: ["bind"] }];
  assert.deepEqual(planDevices({ ...SPEC, mounts }), { devices: [], spec: { ...SPEC, mounts } });
});

test("a container's device is plugged in before it is made, and unplugged when it is removed", async (t) => {
  const pod = new FakeShim();
  t.after(() => pod.close());
  await pod.create("c1", { linux: { devices: [NODE], resources: { devices: [RULE] } } });
  const methods = pod.methods();
  assert.ok(methods.indexOf("attachDevice") < methods.indexOf("createContainer"), methods.join());
  const made = pod.calls.find(({ method }) => method === "createContainer");
  assert.deepEqual(made?.params.hostDevices, [
    { address: "0000:01:00.0", source: "05/02", destination: "/dev/vfio/7" },
  ]);
});
