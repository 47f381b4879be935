// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { BootstrapParamsSchema } from "../../../src/generated/containerd/bootstrap_pb.ts";
import { MetricsSchema as MetricsV1Schema } from "../../../src/generated/containerd/cgroups_v1_pb.ts";
import { MetricsSchema as MetricsV2Schema } from "../../../src/generated/containerd/cgroups_v2_pb.ts";
import { OptionsSchema } from "../../../src/generated/containerd/runtimeoptions_pb.ts";
import { parseOciSpec } from "../../../src/guest-protocol/oci-spec.ts";
import { unheardHooks } from "../../../src/shim/hooks/container-hooks.ts";
import { readStartOptions, readTaskOptions } from "../../../src/shim/options.ts";
import { sizingOf } from "../../../src/shim/task/bundle-spec.ts";
import { toTtrpcError } from "../../../src/shim/task/errors.ts";
import { toMetrics } from "../../../src/shim/task/metrics.ts";
import { planRootfs, type TaskMount } from "../../../src/shim/task/rootfs.ts";
import { openStreams } from "../../../src/shim/task/stdio.ts";
import { nameServerLines, planVolumes, withoutShares } from "../../../src/shim/task/volumes.ts";
import { StatusCode } from "../../../src/ttrpc/status.ts";

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-request-"));
});
after(() => rmSync(directory, { recursive: true, force: true }));

const call = { id: "c1", namespace: "ns" };
const options = create(AnySchema, {
  typeUrl: "runtimeoptions.v1.Options",
  value: toBinary(OptionsSchema, create(OptionsSchema, { configPath: "/x.toml" })),
});

test("runtime options: none, an Any, or containerd 2.3's bootstrap parameters", () => {
  const any = Buffer.from(toBinary(AnySchema, options));
  const bootstrap = create(BootstrapParamsSchema, {
    instanceId: "c1",
    namespace: "ns",
    extensions: [{ value: options }],
  });
  const binary = Buffer.from(toBinary(BootstrapParamsSchema, bootstrap));
  assert.equal(readStartOptions(Buffer.alloc(0), call).configurationPath, undefined);
  assert.equal(readStartOptions(any, call).configurationPath, "/x.toml");
  assert.equal(readStartOptions(binary, call).configurationPath, "/x.toml");
  assert.equal(readTaskOptions(options).configurationPath, "/x.toml");
  const prefixed = { ...options, typeUrl: `type.googleapis.com/${options.typeUrl}` };
  assert.equal(readTaskOptions(prefixed).configurationPath, "/x.toml");
  assert.equal(readTaskOptions(undefined).configurationPath, undefined);
  assert.throws(() => readStartOptions(Buffer.from([0x0a, 0xff]), call), {
    code: "RUNTIME_OPTIONS_INVALID",
  });
});

test("root file systems: EROFS layers in their order and one scratch disk, or one ext4 disk", () => {
  const erofs = (source: string) => ({ type: "erofs", source, options: ["ro"] });
  const scratch = { type: "ext4", source: "/s", options: ["rw"] };
  const plan = (mounts: TaskMount[]) =>
    planRootfs(mounts, { directory: "/b", rootPath: undefined });
  assert.deepEqual(plan([erofs("/a"), erofs("/b"), scratch]), {
    kind: "disks",
    layers: ["/a", "/b"],
    scratch: "/s",
  });
  assert.deepEqual(plan([scratch]), { kind: "disk", path: "/s", readOnly: false });
  assert.deepEqual(plan([{ ...scratch, options: ["ro"] }]), {
    ...{ kind: "disk", path: "/s", readOnly: true },
  });
  const refused = [
    [],
    [{ ...scratch, source: "relative" }],
    [scratch, scratch],
    [erofs("relative")],
    [erofs("/a"), scratch, scratch],
    [erofs("/a"), { ...scratch, options: ["ro"] }],
    [erofs("/a"), { type: "overlay", source: "overlay", options: ["lowerdir=/a"] }],
    [{ type: "bind", source: "etc", options: ["rbind"] }],
    [{ type: "nfs", source: "/a", options: [] }],
  ];
  for (const mounts of refused) {
    assert.throws(() => plan(mounts), { code: "ROOTFS_UNSUPPORTED" });
  }
});

test("root file systems: one overlay or bind mount as snapshotters write them, or the bundle's", () => {
  const bundle = { directory: "/run/b", rootPath: "rootfs" };
  const overlay = (...options: string[]) =>
    planRootfs([{ type: "overlay", source: "overlay", options }], bundle);
  const upper = ["workdir=/s/3/work", "upperdir=/s/3/fs"];
  assert.deepEqual(overlay("index=off", ...upper, "lowerdir=/s/2/fs:/s/1\\:x/fs"), {
    kind: "overlay",
    overlay: {
      lower: ["/s/2/fs", "/s/1:x/fs"],
      upper: { directory: "/s/3/fs", work: "/s/3/work" },
      options: ["index=off"],
    },
  });
  assert.deepEqual(overlay("ro", "lowerdir=/s/2/fs:/s/1/fs"), {
    kind: "overlay",
    overlay: { lower: ["/s/2/fs", "/s/1/fs"], options: [] },
  });
  const bind = [{ type: "bind", source: "/s/1/fs", options: ["rbind", "ro"] }];
  assert.deepEqual(planRootfs(bind, bundle), {
    kind: "bind",
    bind: { source: "/s/1/fs", isReadOnly: true, isRecursive: true },
  });
  assert.deepEqual(planRootfs([], bundle), {
    kind: "bind",
    bind: { source: "/run/b/rootfs", isReadOnly: false, isRecursive: true },
  });
  const refused = [
    ["lowerdir=/a", "uidmap=0:1:2"],
    ["lowerdir=a:/b"],
    ["upperdir=/u", "workdir=/w"],
    ["lowerdir=/a", "index=off,lowerdir=/b"],
    [],
  ];
  for (const options of refused) {
    assert.throws(() => overlay(...options), { code: "ROOTFS_UNSUPPORTED" });
  }
});

test("runtime options may hold the configuration itself; those of another kind are refused", () => {
  const body = "[hypervisor.qemu]\ndefault_memory = 256\n";
  const value = toBinary(OptionsSchema, create(OptionsSchema, { configBody: Buffer.from(body) }));
  assert.deepEqual(readTaskOptions({ ...options, value }), {
    configurationPath: undefined,
    configurationText: body,
  });
  const runc = { ...options, typeUrl: "containerd.runc.v1.Options" };
  assert.deepEqual(readTaskOptions(runc), {
    configurationPath: undefined,
    configurationText: undefined,
  });
  for (const wrong of [
    { ...options, typeUrl: "example.v1.Options" },
    {
      ...options,
      value: toBinary(OptionsSchema, create(OptionsSchema, { configBody: Buffer.from([0xff]) })),
    },
  ]) {
    assert.throws(() => readTaskOptions(wrong), { code: "RUNTIME_OPTIONS_INVALID" });
  }
  const unknown = create(BootstrapParamsSchema, {
    instanceId: "c1",
    namespace: "ns",
    extensions: [{ value: { ...options, typeUrl: "example.v1.Extension" } }, { value: options }],
  });
  const binary = Buffer.from(toBinary(BootstrapParamsSchema, unknown));
  assert.equal(readStartOptions(binary, call).configurationPath, "/x.toml");
});

function specWith(mounts: object[]) {
  return parseOciSpec({ ociVersion: "1.1.0", mounts });
}

test("volumes of the host are refused by name; what the guest has itself is left out", () => {
  const bind = (destination: string, source: string) => ({
    ...{ destination, source, type: "bind" },
    options: ["rbind"],
  });
  assert.throws(() => planVolumes(specWith([bind("/data", "/srv/data")])), {
    code: "VOLUME_UNSUPPORTED",
    message: /\/srv\/data.*\/data/,
  });
  // The type does not matter: the option makes it a bind mount too.
  const disguised = { destination: "/data", source: "/srv/x", type: "none", options: ["bind"] };
  assert.throws(() => planVolumes(specWith([disguised])), { code: "VOLUME_UNSUPPORTED" });
  const fine = [bind("/etc/hosts", "/x"), bind("/y", "/sys/fs/cgroup"), bind("/dev/shm", "/z")];
  assert.equal(planVolumes(specWith(fine)).warnings.length, 2);

  const resolvConf = join(directory, "resolv.conf");
  writeFileSync(resolvConf, `nameserver 192.0.2.1\n\nsearch ${"x".repeat(2000)}\noptions ndots:2`);
  assert.deepEqual(nameServerLines(specWith([bind("/etc/resolv.conf", resolvConf)])), [
    "nameserver 192.0.2.1",
    "options ndots:2",
  ]);
  assert.deepEqual(nameServerLines(specWith([])), []);
});

test("volumes of one container are bounded together, not only each by itself", () => {
  const big = join(directory, "big");
  writeFileSync(big, Buffer.alloc(1024 * 1024));
  const mounts = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      ...{ destination: `/v${index}`, source: big, type: "bind", options: ["bind", "ro"] },
    }));
  assert.equal(planVolumes(specWith(mounts(4))).copies.length, 4);
  const { copies, shares } = planVolumes(specWith(mounts(5)));
  assert.deepEqual([copies.length, shares.map(({ destination }) => destination)], [4, ["/v4"]]);
});

test("volumes that are written to, or large, are shared; where nothing may be, small files are copied", () => {
  const small = join(directory, "small");
  writeFileSync(small, "x");
  const mount = (destination: string, source: string, ...options: string[]) => ({
    ...{ destination, source, type: "bind", options: ["rbind", ...options] },
  });
  const plan = planVolumes(
    specWith([
      mount("/etc/hosts", small),
      mount("/secret", small, "ro"),
      mount("/dev/termination-log", small, "rw"),
    ]),
  );
  assert.deepEqual(
    plan.copies.map(({ destination }) => destination),
    ["/etc/hosts", "/secret"],
  );
  assert.deepEqual(
    plan.shares.map(({ destination, bind }) => [destination, bind]),
    [["/dev/termination-log", { source: small, isReadOnly: false, isRecursive: true }]],
  );
  const copied = withoutShares(plan);
  assert.deepEqual([copied.copies.length, copied.shares.length], [3, 0]);
  assert.match(copied.warnings.join(), /termination-log does not reach/);

  const folder = planVolumes(specWith([mount("/data", directory, "rw")]));
  assert.deepEqual([folder.copies.length, folder.shares.length], [0, 1]);
  assert.throws(() => withoutShares(folder), {
    code: "VOLUME_UNSUPPORTED",
    message: /\/data.*shared_fs/,
  });
  const fifo = join(directory, "volume-fifo");
  execFileSync("mkfifo", [fifo]);
  assert.throws(() => planVolumes(specWith([mount("/f", fifo)])), { code: "VOLUME_UNSUPPORTED" });
});

test("streams: FIFOs with a writer that holds the input open, files by URI, and nothing else", async () => {
  const c1 = { containerId: "c1", namespace: "ns" };
  const fifo = join(directory, "fifo");
  execFileSync("mkfifo", [fifo]);
  const file = join(directory, "deep", "log");
  const streams = { stdin: fifo, stdout: `file://${file}`, stderr: "", terminal: false };
  const open = await openStreams(streams, c1);
  assert.deepEqual(open.stdio, { terminal: false, stdin: true, stdout: true, stderr: false });
  assert.equal(open.descriptors.length, 3);
  writeSync(open.descriptors[2] ?? -1, "x");
  assert.equal(readFileSync(file, "utf8"), "x");
  const descriptors = [...open.descriptors];
  open.close();
  for (const descriptor of descriptors) assert.throws(() => closeSync(descriptor), /EBADF/);

  const terminal = await openStreams({ ...streams, stdin: "", stderr: fifo, terminal: true }, c1);
  assert.equal(terminal.stdio.stderr, false, "a terminal has one output");
  terminal.close();
  for (const stdout of ["relative", "ttrpc+unix:///x?streaming_id=1", "http://x/y"]) {
    await assert.rejects(openStreams({ ...streams, stdout }, c1), { code: "STDIO_UNSUPPORTED" });
  }
  // The last one: nobody reads the FIFO, and the shim must not wait for somebody.
  const unusable = [join(directory, "missing"), file, `file://${directory}`, `file://${fifo}`];
  for (const stdout of unusable) {
    const only = { stdin: "", stdout, stderr: "", terminal: false };
    await assert.rejects(openStreams(only, c1), { code: "STDIO_UNUSABLE" });
  }
  assert.ok(statSync(directory).isDirectory());
});

test("limits of a container, however large, become the size of its VM", () => {
  const text =
    '{"ociVersion":"1.1.0","linux":{"resources":{"memory":{"limit":9223372036854771712},"cpu":{"quota":50000,"period":100000}}}}';
  const sizing = sizingOf(parseOciSpec(text));
  assert.equal(sizing.memoryLimitBytes, Number("9223372036854771712"));
  assert.equal(sizing.cpuQuota, 50000);
  assert.equal(sizingOf(parseOciSpec({ ociVersion: "1.1.0" })).memoryLimitBytes, undefined);
});

test("errors have the statuses that containerd acts on", () => {
  const statusOf = (code: string) => toTtrpcError(new MukonError(code, "x")).status;
  assert.equal(statusOf("TASK_NOT_FOUND"), StatusCode.NOT_FOUND);
  assert.equal(statusOf("PROCESS_UNKNOWN"), StatusCode.NOT_FOUND);
  assert.equal(statusOf("TASK_EXISTS"), StatusCode.ALREADY_EXISTS);
  assert.equal(statusOf("TASK_STATE"), StatusCode.FAILED_PRECONDITION);
  assert.equal(statusOf("CALL_UNSUPPORTED"), StatusCode.UNIMPLEMENTED);
  assert.equal(statusOf("GUEST_BOOT_FAILED"), StatusCode.UNKNOWN);
  const error = toTtrpcError(new MukonError("X", "what", { hint: "do", details: { a: 1 } }));
  assert.deepEqual([error.code, error.hint, error.details], ["X", "do", { a: 1 }]);
});

test("numbers as large as the guest may tell fit into the metrics", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const numbers = (...names: string[]) => Object.fromEntries(names.map((name) => [name, most]));
  const cpu = numbers(
    ...["usageNanoseconds", "userNanoseconds", "kernelNanoseconds", "periods"],
    ...["throttledPeriods", "throttledNanoseconds"],
  );
  const memory = numbers(
    ...["usageBytes", "maxUsageBytes", "limitBytes", "failures", "swapUsageBytes"],
    ...["swapLimitBytes", "cacheBytes", "anonymousBytes", "fileBytes", "inactiveFileBytes"],
    ...["pageFaults", "majorPageFaults"],
  );
  const stats = { cpu, memory, pids: numbers("current", "limit") };
  const known = stats as unknown as Parameters<typeof toMetrics>[0];
  const unified = toMetrics(known, "unified");
  assert.equal(unified.typeUrl, "io.containerd.cgroups.v2.Metrics");
  const usage = fromBinary(MetricsV2Schema, unified.value).memory?.usage;
  for (const mode of ["hybrid", "legacy"] as const) {
    const { typeUrl, value } = toMetrics(known, mode);
    assert.equal(typeUrl, "io.containerd.cgroups.v1.Metrics");
    const metrics = fromBinary(MetricsV1Schema, value);
    assert.equal(metrics.memory?.usage?.usage, usage);
    assert.equal(metrics.cpu?.usage?.total, BigInt(Number.MAX_SAFE_INTEGER));
  }
});

test("hooks that nobody runs are named in a warning; those of the host are run", () => {
  const withHooks = (hooks: object | null) =>
    unheardHooks(parseOciSpec({ ociVersion: "1.1.0", hooks }));
  const hook = [{ path: "/bin/true" }];
  const [warning] = withHooks({ prestart: hook, startContainer: hook, createContainer: null });
  assert.match(warning ?? "", /hooks are not run \(startContainer\)/);
  assert.deepEqual(withHooks({ prestart: hook, poststop: null }), []);
  assert.deepEqual(withHooks(null), []);
});
