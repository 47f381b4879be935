// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { SpecSchema } from "../../../src/generated/agent/oci_pb.ts";
import { toAgentProcess } from "../../../src/guest-protocol/agent-process.ts";
import { toAgentResources } from "../../../src/guest-protocol/agent-resources.ts";
import { toAgentSpec } from "../../../src/guest-protocol/agent-spec.ts";
import { parseOciResources } from "../../../src/guest-protocol/oci-spec.ts";
import { specWith } from "./helpers.ts";

const rootPath = "/run/kata-containers/one/rootfs";

test("what belongs to the host is taken out", () => {
  const { spec } = toAgentSpec(
    specWith({
      hooks: { prestart: [{ path: "/bin/hook" }] },
      root: { path: "/var/lib/containerd/rootfs", readonly: true },
      process: { args: ["sh"], cwd: "/", selinuxLabel: "host_t", apparmorProfile: "host" },
      annotations: { keep: "1", "io.katacontainers.config.agent.policy": "cmVnbw==" },
      linux: {
        mountLabel: "host_t",
        seccomp: { defaultAction: "SCMP_ACT_ERRNO" },
        namespaces: [
          { type: "network", path: "/var/run/netns/x" },
          { type: "ipc", path: "/proc/1/ns/ipc" },
          { type: "mount" },
          { type: "pid" },
          { type: "cgroup" },
          { type: "time" },
        ],
        resources: {
          cpu: { cpus: "0-3", mems: "0", shares: 512, quota: 5000, period: 10_000 },
          devices: [{ allow: true, type: "b", major: 8, access: "rwm" }],
          pids: { limit: 64 },
        },
      },
    }),
    { rootPath },
  );
  assert.equal(spec.Hooks, undefined);
  assert.equal(spec.Root?.Path, rootPath);
  assert.equal(spec.Root?.Readonly, true);
  assert.equal(spec.Process?.SelinuxLabel, "");
  assert.equal(spec.Process?.ApparmorProfile, "");
  assert.deepEqual(spec.Annotations, { keep: "1" });
  assert.equal(spec.Linux?.MountLabel, "");
  assert.equal(spec.Linux?.Seccomp, undefined);
  const namespaces = spec.Linux?.Namespaces.map(({ Type, Path }) => `${Type}:${Path}`);
  assert.deepEqual(namespaces, ["ipc:", "mount:", "cgroup:"]);
  assert.equal(spec.Linux?.Resources?.CPU?.Cpus, "");
  assert.equal(spec.Linux?.Resources?.CPU?.Mems, "");
  assert.equal(spec.Linux?.Resources?.CPU?.Quota, 5000n);
  assert.deepEqual(spec.Linux?.Resources?.Devices, []);
  assert.equal(spec.Linux?.Resources?.Pids?.Limit, 64n);
});

test("a container that joins another's process namespace joins the pod's", () => {
  const joining = specWith({ linux: { namespaces: [{ type: "pid", path: "/proc/7/ns/pid" }] } });
  assert.equal(toAgentSpec(joining, { rootPath }).sandboxPidns, true);
  const own = specWith({ linux: { namespaces: [{ type: "pid" }] } });
  assert.equal(toAgentSpec(own, { rootPath }).sandboxPidns, false);
});

test("mounts with sources on the host go in only with a source in the guest", () => {
  const { spec, warnings } = toAgentSpec(
    specWith({
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        {
          destination: "/etc/hosts",
          type: "bind",
          source: "/host/hosts",
          options: ["rbind", "ro"],
        },
        { destination: "/data", type: "bind", source: "/host/data" },
        { destination: "/sneaky", type: "tmpfs", source: "/host", options: ["bind"] },
        { destination: "/disk", type: "ext4", source: "/dev/vda" },
        { destination: "/untyped", source: "/host" },
        { destination: "/dev/shm", type: "bind", source: "/run/shm", options: ["rbind"] },
      ],
    }),
    { rootPath, guestSources: new Map([["/etc/hosts", "/run/kata-containers/hosts"]]) },
  );
  assert.deepEqual(
    spec.Mounts.map(({ destination, type, source }) => [destination, type, source]),
    [
      ["/proc", "proc", "proc"],
      ["/etc/hosts", "bind", "/run/kata-containers/hosts"],
      ["/dev/shm", "bind", "/run/kata-containers/sandbox/shm"],
    ],
  );
  assert.deepEqual(spec.Mounts[1]?.options, ["rbind", "ro"]);
  for (const path of ["/data", "/sneaky", "/disk", "/untyped"]) {
    assert.ok(
      warnings.some((warning) => warning.includes(path)),
      path,
    );
  }
});

test("disks and vfio nodes of the host are not made in the guest", () => {
  const { spec, warnings } = toAgentSpec(
    specWith({
      linux: {
        devices: [
          { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 438 },
          { path: "/dev/sda", type: "b", major: 254, minor: 0 },
          { path: "/dev/vfio/12", type: "c", major: 1, minor: 1 },
        ],
      },
    }),
    { rootPath },
  );
  assert.deepEqual(
    spec.Linux?.Devices.map(({ Path }) => Path),
    ["/dev/null"],
  );
  assert.equal(warnings.length, 2);
});

test("the process arrives whole", () => {
  const { process } = specWith({
    process: {
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      user: { uid: 1000, gid: 100, additionalGids: [5, 6] },
      args: ["sh", "-c", "exit 3"],
      env: ["A=b", "EMPTY="],
      cwd: "/tmp",
      capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"] },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 2 ** 53 - 1, soft: 1 }],
      noNewPrivileges: true,
      oomScoreAdj: -999,
    },
  });
  assert.ok(process);
  const sent = toAgentProcess(process);
  assert.deepEqual(
    [sent.User?.UID, sent.User?.GID, sent.User?.AdditionalGids],
    [1000, 100, [5, 6]],
  );
  assert.deepEqual(sent.Args, ["sh", "-c", "exit 3"]);
  assert.deepEqual(sent.Env, ["A=b", "EMPTY="]);
  assert.deepEqual(sent.Capabilities?.Bounding, ["CAP_KILL"]);
  assert.deepEqual(sent.Capabilities?.Permitted, []);
  assert.equal(sent.Rlimits[0]?.Hard, 9007199254740991n);
  assert.deepEqual([sent.Terminal, sent.NoNewPrivileges, sent.OOMScoreAdj], [true, true, -999n]);
  assert.deepEqual([sent.ConsoleSize?.Height, sent.ConsoleSize?.Width], [24, 80]);
});

test("a seccomp profile goes in when asked for, with arguments of 64 bits", () => {
  const spec = specWith({
    linux: {
      seccomp: {
        defaultAction: "SCMP_ACT_ERRNO",
        architectures: ["SCMP_ARCH_X86_64"],
        syscalls: [
          {
            names: ["clone"],
            action: "SCMP_ACT_ALLOW",
            args: [{ index: 0, value: "18446744073709551615", op: "SCMP_CMP_MASKED_EQ" }],
          },
          { names: ["ptrace"], action: "SCMP_ACT_ERRNO", errnoRet: 0 },
        ],
      },
    },
  });
  const seccomp = toAgentSpec(spec, { rootPath, isSeccompWanted: true }).spec.Linux?.Seccomp;
  assert.equal(seccomp?.Syscalls[0]?.Args[0]?.Value, 2n ** 64n - 1n);
  assert.equal(seccomp?.Syscalls[0]?.ErrnoRet.case, undefined);
  assert.deepEqual(seccomp?.Syscalls[1]?.ErrnoRet, { case: "errnoret", value: 0 });
});

test("what is sent can be written and read as protobuf", () => {
  const { spec } = toAgentSpec(specWith({ hostname: "h", linux: { sysctl: { a: "1" } } }), {
    rootPath,
  });
  const read = fromBinary(SpecSchema, toBinary(SpecSchema, spec));
  assert.equal(read.Hostname, "h");
  assert.deepEqual(read.Linux?.Sysctl, { a: "1" });
  assert.equal(read.Linux?.Resources, undefined);
});

test("an update holds the limits alone", () => {
  const update = toAgentResources(
    parseOciResources({ memory: { limit: -1 }, cpu: { cpus: "0" }, devices: [{ allow: true }] }),
  );
  assert.equal(update.Memory?.Limit, -1n);
  assert.equal(update.CPU?.Cpus, "");
  assert.deepEqual(update.Devices, []);
});
