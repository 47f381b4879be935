// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { stringify } from "../../../guest/agent/container/json.ts";
import {
  completeExec,
  type ProcessSpec,
  processJson,
  withStringUser,
} from "../../../guest/agent/container/process-json.ts";
import { resourcesJson } from "../../../guest/agent/container/resources-json.ts";
import { type GuestChoices, specJson } from "../../../guest/agent/container/spec-json.ts";
import { decode } from "../../../guest/agent/protobuf/decode.ts";
import { Process, Spec } from "../../../guest/agent/schema/oci.ts";
import { LinuxResources } from "../../../guest/agent/schema/resources.ts";
import {
  LinuxResourcesSchema,
  ProcessSchema,
  SpecSchema,
} from "../../../src/generated/agent/oci_pb.ts";

const choices: GuestChoices = {
  cgroupsPath: "/containers/c1",
  pidNamespacePath: undefined,
  extraMounts: [],
};

function configOf(init: Parameters<typeof create<typeof SpecSchema>>[1], given = choices) {
  const bytes = toBinary(SpecSchema, create(SpecSchema, init));
  return JSON.parse(stringify(specJson(decode(Spec, Buffer.from(bytes)), given)));
}

function processOf(init: Parameters<typeof create<typeof ProcessSchema>>[1]): ProcessSpec {
  return decode(Process, Buffer.from(toBinary(ProcessSchema, create(ProcessSchema, init))));
}

const MINIMAL = { Process: { Args: ["sh"] }, Root: { Path: "/run/kata-containers/c1/rootfs" } };

test("64-bit numbers stay exact and text stays text", () => {
  const text = stringify({ a: 2n ** 64n - 1n, b: 'x"\u0000', c: [1, true], d: undefined });
  assert.equal(text, '{"a":18446744073709551615,"b":"x\\"\\u0000","c":[1,true]}');
});

test("the pod's namespaces are shared, all others are the container's own", () => {
  const types = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time"];
  const Namespaces = types.map((Type) => ({ Type, Path: "/proc/1/ns/x" }));
  const config = configOf({ ...MINIMAL, Hostname: "other", Linux: { Namespaces } });
  const expected = [{ type: "mount" }, { type: "pid" }, { type: "cgroup" }, { type: "user" }];
  assert.deepEqual(config.linux.namespaces, expected);
  assert.equal(config.hostname, undefined);
  const shared = configOf(MINIMAL, { ...choices, pidNamespacePath: "/proc/9/ns/pid" });
  assert.deepEqual(shared.linux.namespaces, [
    { type: "mount" },
    { type: "pid", path: "/proc/9/ns/pid" },
    { type: "cgroup" },
  ]);
});

test("host policies, host hooks and host cgroups do not reach the guest", () => {
  const config = configOf({
    Process: { Args: ["sh"], ApparmorProfile: "docker-default", SelinuxLabel: "x" },
    Root: { Path: "/r" },
    Hooks: { Prestart: [{ Path: "/host" }], StartContainer: [{ Path: "/in", Args: ["in"] }] },
    Linux: { CgroupsPath: "/kubepods/x", MountLabel: "x", Sysctl: { "net.a": "1" } },
  });
  assert.deepEqual(Object.keys(config.process).toSorted(), [
    ...["args", "cwd", "env", "noNewPrivileges", "oomScoreAdj", "terminal", "user"],
  ]);
  assert.deepEqual(config.hooks, { startContainer: [{ path: "/in", args: ["in"] }] });
  assert.equal(config.linux.cgroupsPath, "/containers/c1");
  assert.equal(config.linux.sysctl, undefined);
});

test("without device rules a container reaches its own devices and the harmless ones only", () => {
  const Devices = [{ Path: "/dev/x", Type: "c", Major: 10n, Minor: 7n }];
  const rules = configOf({ ...MINIMAL, Linux: { Devices } }).linux.resources.devices;
  assert.deepEqual(rules[0], { allow: false, type: "a", access: "rwm" });
  assert.deepEqual(rules.at(-1), { allow: true, type: "c", major: 10, minor: 7, access: "rwm" });
  const disks = rules.filter((rule: { type: string }) => rule.type === "b");
  assert.deepEqual(disks, [{ allow: true, type: "b", access: "m" }]);
});

test("device rules of the spec are taken as they are", () => {
  const Resources = {
    Devices: [{ Allow: true, Type: "a", Major: -1n, Minor: -1n, Access: "rwm" }],
  };
  const rules = configOf({ ...MINIMAL, Linux: { Resources } }).linux.resources.devices;
  assert.deepEqual(rules, [{ allow: true, type: "a", access: "rwm" }]);
});

test("limits that were not given are not set", () => {
  const bytes = toBinary(
    LinuxResourcesSchema,
    create(LinuxResourcesSchema, {
      Memory: { Limit: -1n, Kernel: 5n },
      CPU: { Quota: 50_000n, Period: 100_000n },
      Pids: { Limit: 0n },
    }),
  );
  const json = JSON.parse(stringify(resourcesJson(decode(LinuxResources, Buffer.from(bytes)))));
  assert.deepEqual(json, {
    memory: { limit: -1 },
    cpu: { quota: 50_000, period: 100_000 },
    pids: {},
  });
});

test("a process always says its OOM score, so that it never has the agent's", () => {
  const json = JSON.parse(stringify(processJson(processOf({ Args: ["sh"] }))));
  assert.equal(json.oomScoreAdj, 0);
  assert.equal(json.cwd, "/");
});

test("an exec has its container's privileges unless it says otherwise", () => {
  const container = processOf({
    Args: ["sh"],
    Capabilities: { Bounding: ["CAP_KILL"] },
    NoNewPrivileges: true,
    OOMScoreAdj: 500n,
  });
  const bare = completeExec(processOf({ Args: ["id"] }), container);
  assert.deepEqual(bare.capabilities?.bounding, ["CAP_KILL"]);
  assert.equal(bare.noNewPrivileges, true);
  assert.equal(bare.oomScoreAdj, 500n);
  const own = completeExec(processOf({ Args: ["id"], Capabilities: {} }), container);
  assert.deepEqual(own.capabilities?.bounding, []);
});

test("users given as text must be numbers", () => {
  const process = processOf({ Args: ["id"], User: { UID: 1, GID: 2 } });
  const user = (uid: string) => ({ uid, gid: "", additionalGids: [] });
  assert.equal(withStringUser(process, user("77")).user?.uid, 77);
  assert.equal(withStringUser(process, user("77")).user?.gid, 2);
  assert.equal(withStringUser(process, undefined), process);
  for (const uid of ["root", "-1", "4294967296", "1e3", " 1"]) {
    assert.throws(() => withStringUser(process, user(uid)), /is no number/);
  }
});

test("a spec without process, arguments or root is refused", () => {
  assert.throws(() => configOf({ Root: { Path: "/r" } }), /no process/);
  assert.throws(() => configOf({ Process: { Args: ["sh"] } }), /no root file system/);
  assert.throws(() => configOf({ Process: {}, Root: { Path: "/r" } }), /nothing to run/);
});
