// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { chownSync, lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { identityOf } from "../../../src/host/identity/types.ts";
import { programFiles } from "../../../src/host/jail/program-files.ts";
import { Journal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import { launchConfined } from "../../../src/host/launcher/launch.ts";
import type { LaunchedProcess } from "../../../src/host/launcher/types.ts";
import { findDeviations } from "../../../src/host/launcher/verify.ts";
import {
  sharedFsConfinement,
  sharedFsJail,
  sharedFsLaunch,
} from "../../../src/host/shared-fs/launch.ts";
import { SharedTree } from "../../../src/host/shared-fs/tree.ts";
import { listMounts } from "../../../src/linux/mounts.ts";
import { runRoot } from "../../../src/linux/paths.ts";
import { run } from "../../../src/linux/run.ts";
import { useTemporaryRoots } from "../../unit/host/roots.ts";
import { leavesNoTrace, SKIP_UNLESS_ROOT, testIdentities } from "./support.ts";

const KEY = "shared";
/** For the attempts; virtiofsd's own jail has none of them. */
const TOOLS = "ls tr cat touch mknod chown setpriv mount umount wc sleep stat rm hostname".split(
  " ",
);
const identity = identityOf(testIdentities("auto").idRangeStart / 65_536 + 30, "x", "useradd");

/** What a captured virtiofsd would run: it has the same walls around it. */
async function capture(tree: SharedTree, script: string): Promise<LaunchedProcess> {
  const daemon = { path: "/bin/bash", kind: "rust" } as const;
  const jail = await sharedFsJail(daemon, { directory: tree.directory, identity });
  const paths = await Promise.all(TOOLS.map((tool) => programFiles(`/bin/${tool}`)));
  const launch = sharedFsLaunch({
    ...{ identity, daemon },
    settings: { cache: "auto", extraArguments: [] },
    jail: { ...jail, paths: [...jail.paths, ...paths.flat()] },
    listener: 0,
    userNamespace: tree.userNamespace,
  });
  const argv = ["/bin/bash", "-c", script];
  return await launchConfined({ ...launch, argv, stdio: ["ignore", "pipe", "pipe"] });
}

async function outputOf(launched: LaunchedProcess): Promise<string[]> {
  let text = "";
  launched.child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(launched.child, "close");
  return text.trim().split("\n");
}

describe("the tree that a guest sees", { skip: SKIP_UNLESS_ROOT }, () => {
  useTemporaryRoots();
  leavesNoTrace();
  let disk: string;
  let tree: SharedTree;
  before(async () => {
    disk = mkdtempSync("/var/tmp/mukon-t-");
    mkdirSync(join(disk, "data"));
    writeFileSync(join(disk, "data", "roots"), "x", { mode: 0o600 });
    writeFileSync(join(disk, "data", "users"), "x", { mode: 0o600 });
    chownSync(join(disk, "data", "users"), 1000, 1000);
    tree = await SharedTree.create(identity, Journal.open(KEY));
  });
  after(async () => {
    tree.close();
    await tearDown(KEY);
    rmSync(disk, { recursive: true });
  });

  it("keeps whoever captures virtiofsd away from all else of the host", async () => {
    const attempts: Record<string, string> = {
      "list the root": "test \"$(ls / | tr '\\n' ' ')\" != 'bin dev etc lib lib64 proc shared '",
      "read the host's files": "cat /etc/shadow /shared/../etc/shadow /proc/1/root/etc/shadow",
      "walk out of a descriptor": "cd /proc/self/fd && cat ../../../etc/shadow",
      "see other processes": `test -e /proc/${process.pid}`,
      "write to the programs": "touch /usr/x",
      "write to its root": "touch /x",
      "write beside the shares": "touch /shared/x",
      "make a device": "mknod /shared/data/kvm c 10 232",
      "give a file to an id outside": "chown 70000 /shared/data/roots",
      "give a file to the VMM": "chown 65520 /shared/data/roots",
      "become the VMM": "setpriv --reuid 65520 --clear-groups true",
      mount: "mount -t tmpfs x /shared/data",
      "remount the programs": "mount -o remount,bind,rw /usr",
      unmount: "umount -l /proc",
      "have a network": 'test "$(wc -l </proc/net/dev)" -gt 3',
      "signal the test": `kill -9 ${process.pid}`,
      "set a host name": "hostname captured",
      "write a setting": "echo 1 >/proc/sys/vm/drop_caches",
    };
    const script = Object.entries(attempts)
      .map(([name, command]) => `( ${command} ) >/dev/null 2>&1 && echo "it can ${name}"`)
      .join("\n");
    const waiting = "until test -e /shared/data/users; do sleep 0.05; done";
    const launched = await capture(
      tree,
      `${waiting}\n${script}\nstat -c '%u %g' /shared/data/*; echo end`,
    );
    tree.addBind("data", { source: join(disk, "data"), isReadOnly: false, isRecursive: true });
    assert.deepEqual(await outputOf(launched), ["0 0", "1000 1000", "end"]);
  });

  it("shows what is added later to those who run already, and takes it away again", async () => {
    const launched = await capture(tree, "exec sleep 100");
    const seen = async (): Promise<string[]> => {
      const { stdout } = await run(["cat", `/proc/${launched.pid}/mountinfo`]);
      return listMounts(stdout)
        .map(({ mountPoint }) => mountPoint)
        .filter((point) => point.startsWith("/shared/"));
    };
    try {
      const before = await seen();
      tree.addBind("late", { source: disk, isReadOnly: true, isRecursive: true });
      assert.deepEqual(await seen(), [...before, "/shared/late"]);
      tree.remove("late");
      assert.deepEqual(await seen(), before);
      // The program is another one: it has no filter, and has dropped nothing by itself.
      const facts = findDeviations(launched, sharedFsConfinement(identity));
      assert.deepEqual(new Set(facts.map(({ fact }) => fact)), new Set(["seccomp"]));
    } finally {
      launched.child.kill("SIGKILL");
      await once(launched.child, "close");
    }
  });

  it("puts an overlay together, with owners as they are on disk, and says when it cannot", async () => {
    for (const name of ["lower", "upper", "work"]) mkdirSync(join(disk, name));
    writeFileSync(join(disk, "lower", "old"), "old");
    const layers = {
      lower: [join(disk, "lower")],
      upper: { directory: join(disk, "upper"), work: join(disk, "work") },
      options: ["index=off"],
    };
    const launched = await capture(
      tree,
      `until test -e /shared/root/old; do sleep 0.05; done
      cd /shared/root && rm old && echo x >new && chown 1000:5 new && ls`,
    );
    tree.addOverlay("root", layers);
    assert.deepEqual(await outputOf(launched), ["new"]);
    tree.remove("root");
    const made = lstatSync(join(disk, "upper", "new"));
    assert.deepEqual([made.uid, made.gid], [1000, 5]);
    assert.ok(lstatSync(join(disk, "upper", "old")).isCharacterDevice(), "a whiteout");
    assert.throws(() => tree.addOverlay("root", { ...layers, lower: ["/proc"] }), {
      code: "ID_MAP_UNSUPPORTED",
      message: /proc on \/proc/,
    });
    assert.throws(() => tree.addOverlay("root", { ...layers, lower: ["/nowhere"] }), {
      code: "SHARE_FAILED",
      message: /\/nowhere/,
    });
    const left = listMounts().filter(({ mountPoint }) => mountPoint.includes("/layers/"));
    assert.deepEqual(left, []);
  });

  it("goes with everything mounted in it when the pod is torn down", async () => {
    tree.addBind("again", { source: disk, isReadOnly: false, isRecursive: true });
    await tearDown(KEY);
    await sleep(0);
    assert.deepEqual(
      listMounts().filter(({ mountPoint }) => mountPoint.startsWith(runRoot())),
      [],
    );
    assert.ok(lstatSync(join(disk, "data", "roots")).isFile(), "what was shared is untouched");
  });
});
