// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { auditSandbox } from "../../../src/host/audit/audit.ts";
import { listMounts } from "../../../src/linux/mounts.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { bind, SharedPod } from "../../support/shared-pod.ts";

let world: PodWorld;
let pod: SharedPod;
let upper = "";
before(async () => {
  world = new PodWorld();
  pod = new SharedPod(world);
  const lower = await pod.unpackImage("lower");
  const patch = join(pod.disk, "patch");
  mkdirSync(join(patch, "etc"), { recursive: true });
  writeFileSync(join(patch, "etc", "removed"), "x");
  writeFileSync(join(patch, "etc", "theirs"), "theirs\n", { mode: 0o600 });
  chownSync(join(patch, "etc", "theirs"), 1000, 100);
  takeSetfattr(patch);
  const data = join(pod.disk, "data");
  mkdirSync(data);
  writeFileSync(join(data, "from-host"), "host\n");
  writeFileSync(join(data, "high"), "beyond");
  chownSync(join(data, "high"), 70_000, 70_000);
  symlinkSync("/etc/shadow", join(data, "absolute"));
  symlinkSync("../../../../../../etc/shadow", join(data, "dots"));
  const message = join(pod.disk, "message");
  writeFileSync(message, "");
  const overlay = await pod.overlay([patch, lower]);
  upper = overlay.upper;
  await pod.start("pod", {
    isSandbox: true,
    rootfs: [overlay.mount],
    mounts: [
      bind(data, "/data", "rw"),
      bind(data, "/read-only", "ro"),
      bind(message, "/dev/termination-log", "rw"),
    ],
  });
});
after(async () => {
  await pod.remove("pod").catch(() => {});
  pod.close();
  await world.end();
});

/** Busybox has none to set them with; this one runs on the host's libraries. */
function takeSetfattr(root: string): void {
  const libraries = "/lib/x86_64-linux-gnu";
  const files = ["/usr/bin/setfattr", "/lib64/ld-linux-x86-64.so.2"];
  for (const path of [...files, `${libraries}/libc.so.6`, `${libraries}/libattr.so.1`]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(path, join(root, path));
    chmodSync(join(root, path), 0o755);
  }
}

describe("a pod whose files are the host's", () => {
  test("owners are the same inside and on disk", async () => {
    const seen = await pod.inside(
      "pod",
      `stat -c '%u:%g %a' /etc/theirs / /data/from-host
      echo new >/data/new && chown 1000:100 /data/new && chmod 4750 /data/new
      mkdir /data/folder && mv /data/new /data/folder/new && ln /data/folder/new /data/linked
      stat -c '%u:%g %a %h' /data/linked`,
    );
    assert.equal(seen, "1000:100 600\n0:0 755\n0:0 644\n1000:100 4750 2\nrc=0\n");
    const status = lstatSync(join(pod.disk, "data", "folder", "new"));
    assert.deepEqual(
      [status.uid, status.gid, status.mode & 0o7777, status.nlink],
      [1000, 100, 0o4750, 2],
    );
  });

  test("the container's writes are in the snapshot's upper layer, whiteouts too", async () => {
    const seen = await pod.inside(
      "pod",
      "rm /etc/removed && echo more >>/etc/theirs && echo x >/root-file && ls /etc/removed",
    );
    assert.match(seen, /No such file/);
    const whiteout = lstatSync(join(upper, "etc", "removed"));
    assert.ok(whiteout.isCharacterDevice() && whiteout.rdev === 0, "a whiteout");
    const theirs = lstatSync(join(upper, "etc", "theirs"));
    assert.deepEqual([theirs.uid, theirs.gid, theirs.mode & 0o777], [1000, 100, 0o600]);
    assert.equal(readFileSync(join(upper, "etc", "theirs"), "utf8"), "theirs\nmore\n");
    assert.equal(lstatSync(join(upper, "root-file")).uid, 0);
  });

  test("extended attributes cross in both directions", async () => {
    const [theirs, ours] = [join(pod.disk, "data", "from-host"), join(pod.disk, "data", "attr")];
    execFileSync("setfattr", ["-n", "user.mukon", "-v", "host", theirs]);
    const seen = await pod.inside(
      "pod",
      `getfattr -n user.mukon /data/from-host
      touch /data/attr && setfattr -n user.mukon -v guest /data/attr
      setfattr -n trusted.mukon -v guest /data/attr`,
    );
    assert.match(seen, /user\.mukon="host"/);
    assert.match(
      seen,
      /setfattr: .*not permitted\nrc=1\n$/,
      "trusted ones are for the host's root",
    );
    const value = ["--only-values", "-n", "user.mukon", ours];
    assert.equal(execFileSync("getfattr", value).toString(), "guest");
  });

  test("ids beyond the block are refused, and so are devices", async () => {
    const seen = await pod.inside(
      "pod",
      `stat -c %u /data/high
      chown 70000 /data/folder
      chown 65521 /data/folder
      echo x >>/data/high
      mknod /data/null c 1 3
      mknod /data/disk b 254 0`,
    );
    const lines = seen.trim().split("\n");
    assert.equal(lines[0], "65534");
    assert.match(lines[1] ?? "", /Invalid argument/);
    assert.match(lines[2] ?? "", /Invalid argument/);
    assert.match(lines[3] ?? "", /(denied|too large)/);
    assert.match(lines[4] ?? "", /not permitted/);
    assert.match(lines[5] ?? "", /not permitted/);
    assert.equal(readFileSync(join(pod.disk, "data", "high"), "utf8"), "beyond");
  });

  test("a read-only volume is read-only, and shows what the host writes later", async () => {
    writeFileSync(join(pod.disk, "data", "later"), "later\n");
    const seen = await pod.inside("pod", "cat /read-only/later; touch /read-only/x");
    assert.match(seen, /^later\n.*Read-only file system\nrc=1\n$/);
  });

  test("a single file that is mounted is the host's own: a termination message arrives", async () => {
    await pod.inside("pod", "echo 'it was me' >/dev/termination-log");
    assert.equal(readFileSync(join(pod.disk, "message"), "utf8"), "it was me\n");
  });

  test("links lead nowhere outside: the guest follows them, in its own files", async () => {
    const seen = await pod.inside("pod", "cat /data/absolute; cat /data/dots; ls /data/..");
    const shadow = readFileSync("/etc/shadow", "utf8").split("\n")[0] ?? "root:";
    assert.ok(!seen.includes(shadow));
  });

  test("audit sees virtiofsd, and that it keeps the promises", async () => {
    const report = await auditSandbox("test..pod");
    const served = report.processes.find(({ role }) => role === "virtiofsd");
    assert.deepEqual(served?.verdicts, { P1: "kept", P2: "kept", P3: "kept" });
    assert.equal(served?.uid, pod.state.identity?.block.base);
    assert.deepEqual(
      [served?.namespaces.mnt, served?.namespaces.net, served?.namespaces.user],
      ["own", "own", "own"],
    );
    assert.deepEqual([served?.namespaces.pid, served?.root], ["own", "share"]);
    assert.equal(report.isKept, true);
  });

  test("a second container's files turn up in the virtiofsd that runs, and go with it", async () => {
    const rootfs = await pod.unpackImage("native");
    const source = join(pod.disk, "data");
    const before = pod.state.processes.virtiofsd;
    await pod.start("member", {
      rootfs: [{ type: "bind", source: rootfs, options: ["rbind", "rw"] }],
      mounts: [bind(source, "/shared", "rw")],
    });
    assert.deepEqual(pod.state.processes.virtiofsd, before);
    assert.match(await pod.inside("member", "echo from-member >/shared/m; echo x >/mine"), /rc=0/);
    assert.equal(lstatSync(join(rootfs, "mine")).uid, 0);
    assert.match(await pod.inside("pod", "cat /data/m"), /^from-member\nrc=0/);
    const virtiofsd = before?.pid ?? 0;
    const seenByIt = (): string[] =>
      listMounts(readFileSync(`/proc/${virtiofsd}/mountinfo`, "utf8"))
        .map(({ mountPoint }) => mountPoint)
        .filter((point) => point.includes("member"));
    assert.deepEqual(seenByIt().sort(), ["/member-rootfs", "/member-s0"]);
    await pod.remove("member");
    assert.deepEqual(seenByIt(), []);
    const mounted = listMounts().filter(({ mountPoint }) => mountPoint.includes("/member-"));
    assert.deepEqual(mounted, []);
    assert.match(await pod.inside("pod", "cat /data/m"), /rc=0/, "the others go on");
  });
});
