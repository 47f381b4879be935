// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { cgroupHierarchies, prepareCgroup } from "../../../src/host/cgroups/hierarchies.ts";
import { podCgroupPath } from "../../../src/host/cgroups/path.ts";
import { removeCgroup } from "../../../src/host/cgroups/remove.ts";
import { listMounts } from "../../../src/linux/mounts.ts";

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), "mukon-cgroups-"));
});
after(() => rmSync(root, { recursive: true, force: true }));

test("cgroupsPath is a path, or slice, prefix and name as systemd's driver has it", () => {
  const paths: [given: string, path: string | undefined][] = [
    ["", undefined],
    ["/kubepods/besteffort/pod1/c1", "/kubepods/besteffort/pod1/c1"],
    ["default//c1/", "/default/c1"],
    [
      "kubepods-besteffort-pod1.slice:cri-containerd:c1",
      "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-c1.scope",
    ],
    [":docker:c1", "/system.slice/docker-c1.scope"],
    ["-.slice::c1", "/c1.scope"],
    ["user.slice:x:y.slice", "/user.slice/y.slice"],
  ];
  for (const [given, path] of paths) assert.equal(podCgroupPath(given), path, given);
  for (const wrong of ["/", "/a/../b", "..", "a\0b", "a..slice/x:y", "a--b.slice:x:y", "x:y:z"]) {
    const attempt = (): unknown => podCgroupPath(wrong);
    if (wrong === "a..slice/x:y") assert.doesNotThrow(attempt, "only a path with odd names");
    else assert.throws(attempt, { code: "CGROUP_PATH_INVALID" }, wrong);
  }
});

test("hierarchies are those that are mounted where they belong", () => {
  const lines = [
    "1 0 0:1 / /sys/fs/cgroup rw - tmpfs tmpfs rw",
    "2 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "3 1 0:3 / /sys/fs/cgroup/cpuset,cpu rw - cgroup cgroup rw,cpuset,cpu",
    "4 1 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    "5 0 0:4 / /elsewhere rw - cgroup2 cgroup2 rw",
  ];
  assert.deepEqual(
    cgroupHierarchies(listMounts(lines.join("\n"))).map(({ version, isCpuset }) => [
      version,
      isCpuset,
    ]),
    [
      [1, false],
      [1, true],
      [2, false],
    ],
  );
});

test("a new group has its parent's processors, and version 2's controllers are passed on", () => {
  const child = join(root, "v1", "pod");
  mkdirSync(child, { recursive: true });
  for (const [name, value] of [
    ["cpuset.cpus", "0-1\n"],
    ["cpuset.mems", "0\n"],
  ] as const) {
    writeFileSync(join(root, "v1", name), value);
    writeFileSync(join(child, name), "\n");
  }
  prepareCgroup(
    { mountPoint: join(root, "v1"), version: 1, isCpuset: true, isDevices: false },
    child,
  );
  assert.equal(readFileSync(join(child, "cpuset.cpus"), "utf8"), "0-1\n");
  assert.equal(readFileSync(join(child, "cpuset.mems"), "utf8"), "0\n");

  const group = join(root, "v2", "pod");
  mkdirSync(group, { recursive: true });
  writeFileSync(join(root, "v2", "cgroup.controllers"), "cpu memory\n");
  writeFileSync(join(root, "v2", "cgroup.subtree_control"), "cpu\n");
  prepareCgroup(
    { mountPoint: join(root, "v2"), version: 2, isCpuset: false, isDevices: false },
    group,
  );
  assert.equal(readFileSync(join(root, "v2", "cgroup.subtree_control"), "utf8"), "+memory");
});

test("a group in which somebody has made another is left to them", async () => {
  const path = join(root, "shared", "theirs");
  mkdirSync(path, { recursive: true });
  await removeCgroup(join(root, "shared"));
  assert.ok(existsSync(path));
  await removeCgroup(path);
  await removeCgroup(join(root, "shared"));
  assert.ok(!existsSync(join(root, "shared")));
  await removeCgroup(join(root, "shared"));
});
