// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileIdMap, identityOf, PROCESS_IDS } from "../../../src/host/identity/types.ts";
import { confinementChain } from "../../../src/host/launcher/chain.ts";
import { expectedConfinement, findDeviations } from "../../../src/host/launcher/verify.ts";
import { daemonArguments, findDaemon } from "../../../src/host/shared-fs/daemon.ts";
import { sharedFsConfinement, sharedFsLaunch } from "../../../src/host/shared-fs/launch.ts";
import { readProcessStatus } from "../../../src/linux/process-status.ts";
import { formatIdMap } from "../../../src/linux/user-namespace.ts";

const identity = identityOf(28_000, "kata-", "useradd");
const { base } = identity.block;
const launch = sharedFsLaunch({
  identity,
  daemon: { path: "/usr/libexec/virtiofsd", kind: "rust" },
  settings: { cache: "auto", extraArguments: [] },
  jail: { paths: [], devices: [], shared: { directory: "/run/mukon/shared/x", at: "/shared" } },
  listener: 20,
  userNamespace: 21,
});

test("files can have every id of the block but those of the pod's processes", () => {
  const inside = new Set<number>();
  for (const [first, outside, count] of fileIdMap(base)) {
    assert.equal(outside, base + first);
    for (let id = first; id < first + count; id += 1) inside.add(id);
  }
  assert.equal(inside.size, 65_536 - PROCESS_IDS.count);
  for (const { uid } of [identity.vmm, identity.keeper]) assert.ok(!inside.has(uid - base));
  for (const id of [0, 1000, 65_532 - 13, 65_534, 65_535]) assert.ok(inside.has(id), String(id));
});

test("the chain waits for its jail, enters it and the user namespace, then drops the rest", () => {
  const chain = confinementChain(launch, { doorPath: "/proc/1/fd/9" });
  const at = (word: RegExp): number => chain.findIndex((item) => word.test(item));
  const order = [
    /unshare$/,
    /sh$/,
    /^.proc.1.fd.9$/,
    /nsenter$/,
    /^--user=/,
    /^.\.launch.setpriv$/,
    /virtiofsd$/,
  ];
  const places = order.map(at);
  assert.ok(places[0] === 0, chain.join(" "));
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
    chain.join(" "),
  );
  assert.ok(at(/^--nnp$/) > at(/^.\.launch.setpriv$/));
  const bounding = chain.find((word) => word.startsWith("--bounding-set=")) ?? "";
  assert.match(bounding, /^--bounding-set=-all,\+chown/);
  assert.doesNotMatch(bounding, /sys_admin|net_|dac_read|ptrace/);
  assert.throws(() => confinementChain({ ...launch, groups: [6] }), { code: "LAUNCH_REFUSED" });
});

test("each fact of a virtiofsd that is other than promised is noticed", () => {
  const status = readProcessStatus(process.pid);
  assert.ok(status);
  const ids = [base, base, base, base];
  const none = { inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n, ambient: 0n };
  const good = {
    ...{
      ...status,
      uids: ids,
      gids: ids,
      groups: [] as number[],
      noNewPrivileges: true,
      seccomp: 2,
    },
    capabilities: { ...none, permitted: 0x8800_00dbn, effective: 0x8800_00dbn },
  };
  const names = ["net", "ipc", "uts", "mnt", "pid", "user"] as const;
  const all = (value: string) => Object.fromEntries(names.map((name) => [name, value]));
  const facts = (
    change: Partial<typeof good>,
    map = formatIdMap(fileIdMap(base)),
    namespaces = all("own"),
  ): string[] =>
    findDeviations(status, sharedFsConfinement(identity), {
      isSame: () => true,
      threads: () => [{ ...good, ...change }],
      namespaces: (pid) => (pid === "self" ? all("host") : namespaces),
      idMaps: () => [map, map],
      root: () => undefined,
    }).map(({ fact }) => fact);
  assert.deepEqual(facts({}), []);
  assert.deepEqual(facts({ capabilities: { ...none, effective: 1n << 21n } }), ["capabilities"]);
  assert.deepEqual(facts({ uids: [0, 0, 0, 0] }), ["uid"]);
  assert.deepEqual(facts({ groups: [0] }), ["groups"]);
  assert.deepEqual(facts({ noNewPrivileges: false }), ["nnp"]);
  assert.deepEqual(facts({ seccomp: 0 }), ["seccomp"]);
  assert.deepEqual(facts({ seccomp: 0, pid: status.pid + 1 }), [], "its helper thread");
  assert.deepEqual(facts({}, "0 0 4294967295"), ["id-map"]);
  assert.deepEqual(facts({}, ""), ["id-map"]);
  assert.deepEqual(facts({}, undefined, { ...all("own"), user: "host" }), ["namespace"]);
  assert.deepEqual(facts({}, undefined, { ...all("own"), mnt: "host" }), ["namespace"]);
  const expected = expectedConfinement(launch, { seccomp: "filter" });
  assert.deepEqual(expected.ownNamespaces, ["net", "ipc", "uts", "mnt", "pid", "user"]);
});

test("both virtiofsd get the same meaning in their own words", () => {
  const served = { directory: "/shared", descriptor: 3 };
  const settings = {
    cache: "metadata" as const,
    extraArguments: ["--thread-pool-size=1", "--announce-submounts"],
  };
  const rust = daemonArguments({ path: "/v", kind: "rust" }, served, settings);
  assert.ok(rust.includes("--cache=metadata") && rust.includes("--sandbox=chroot"));
  assert.equal(rust.filter((word) => word === "--announce-submounts").length, 1);
  const c = daemonArguments({ path: "/v", kind: "qemu" }, served, settings);
  assert.ok(c.join(" ").includes("sandbox=chroot,xattr,announce_submounts,cache=auto"));
  assert.ok(!c.includes("--announce-submounts"));
});

test("a virtiofsd that is not there is an error that says where it was looked for", async () => {
  await assert.rejects(findDaemon("/nowhere/virtiofsd"), {
    code: "VIRTIOFSD_MISSING",
    message: /\/nowhere\/virtiofsd/,
    hint: /apt-get install qemu-system-common.*shared_fs/,
  });
});
