// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readlinkSync, statSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { numbersOf } from "../../../src/host/block-device.ts";
import { deviationsOfRoot, kindOfRoot, readRoot } from "../../../src/host/jail/inspect-root.ts";
import { programJail } from "../../../src/host/jail/program-jail.ts";
import { launchConfined } from "../../../src/host/launcher/launch.ts";
import type { LaunchedProcess } from "../../../src/host/launcher/types.ts";
import type { VfioGroup } from "../../../src/host/vfio/group.ts";
import { showVfioGroups } from "../../../src/host/vfio/jail-nodes.ts";
import { setLockedMemoryLimit } from "../../../src/linux/process-limits.ts";
import { readNamespaces, readProcessStatus } from "../../../src/linux/process-status.ts";
import { leavesNoTrace, SKIP_UNLESS_ROOT } from "./support.ts";

const ID = 0x6000_0002;
const OWNER = { uid: ID, gid: ID };
/** The numbers of /dev/null and /dev/zero, which any host has. */
const SEVEN: VfioGroup = { number: 7, node: { major: 1, minor: 3 }, addresses: ["0000:01:00.0"] };
const EIGHT: VfioGroup = { number: 8, node: { major: 1, minor: 5 }, addresses: ["0000:02:00.0"] };
const CAP_SYS_RESOURCE = 1n << 24n;
const OPEN = (path: string): string => `if : <>${path}; then echo yes; else echo no; fi`;

describe("VFIO", { skip: SKIP_UNLESS_ROOT }, () => {
  leavesNoTrace();
  describe("groups in the jail of a process that runs", groupsInJail);
});

function groupsInJail(): void {
  let shell: LaunchedProcess;
  let own: string | undefined;

  before(async () => {
    own = readNamespaces(process.pid).mnt;
    shell = await launchConfined({
      ...{ role: "shell", argv: ["/bin/sh"], ...OWNER, groups: [] },
      stdio: ["pipe", "pipe", "ignore"],
      jail: await programJail("/bin/sh", []),
    });
  });
  after(async () => {
    const ended = once(shell.child, "exit");
    shell.child.kill("SIGKILL");
    await ended;
  });

  /** Whether the captured process can do something with a file. */
  async function ask(command: string): Promise<string> {
    shell.child.stdin?.write(`(${command}) 2>/dev/null || echo no\n`);
    const [answer] = await once(shell.child.stdout as NodeJS.ReadableStream, "data");
    return String(answer).trim();
  }

  const inJail = (path: string): string => `/proc/${shell.pid}/root/dev/vfio/${path}`;

  it("are not there before", async () => {
    assert.equal(existsSync(inJail("")), false);
    assert.equal(await ask(OPEN("/dev/vfio/7")), "no");
  });

  it("are its user's, who can open them and do nothing else there", async () => {
    showVfioGroups(shell.pid, { groups: [SEVEN], owner: OWNER });
    for (const [name, numbers] of [
      ["7", SEVEN.node],
      ["vfio", { major: 10, minor: 196 }],
    ] as const) {
      const { uid, gid, mode, rdev } = statSync(inJail(name));
      assert.deepEqual([uid, gid, mode & 0o7777], [ID, ID, 0o600], name);
      assert.deepEqual(numbersOf(rdev), numbers, name);
    }
    assert.equal(readlinkSync(inJail("0000:01:00.0/iommu_group")), "../7");
    assert.equal(await ask(OPEN("/dev/vfio/7")), "yes");
    assert.equal(await ask(OPEN("/dev/vfio/more")), "no");
    assert.equal(await ask(OPEN("/dev/more")), "no");
  });

  it("leave the jail one, and the host as it was", () => {
    const seen = readRoot(shell.pid);
    assert.deepEqual(deviationsOfRoot(seen), []);
    assert.equal(kindOfRoot(seen), "jail");
    assert.equal(readNamespaces(process.pid).mnt, own);
    assert.ok(existsSync("/etc/passwd"), "this process has lost its root");
    assert.ok(!existsSync("/dev/vfio/7") || statSync("/dev/vfio/7").uid === 0);
  });

  it("come and go one by one, and those of others are not its own", async () => {
    showVfioGroups(shell.pid, { groups: [SEVEN, EIGHT], owner: OWNER });
    assert.equal(await ask(`${OPEN("/dev/vfio/7")}; ${OPEN("/dev/vfio/8")}`), "yes\nyes");
    showVfioGroups(shell.pid, { groups: [EIGHT], owner: OWNER });
    assert.equal(await ask(OPEN("/dev/vfio/7")), "no");
    assert.equal(await ask(OPEN("/dev/vfio/8")), "yes");
    showVfioGroups(shell.pid, { groups: [EIGHT], owner: { uid: ID + 1, gid: ID + 1 } });
    assert.equal(await ask(OPEN("/dev/vfio/8")), "no");
    showVfioGroups(shell.pid, { groups: [], owner: OWNER });
    assert.equal(existsSync(inJail("8")), false);
    assert.deepEqual(deviationsOfRoot(readRoot(shell.pid)), []);
  });

  it("bring the right to pin as much memory as a guest has", async (t) => {
    const { effective = 0n } = readProcessStatus(process.pid)?.capabilities ?? {};
    if ((effective & CAP_SYS_RESOURCE) === 0n) {
      return t.skip("root lacks sys_resource here, and cannot raise a limit");
    }
    setLockedMemoryLimit(shell.pid, 768 * 2 ** 20);
    assert.equal(await ask("ulimit -l"), String(768 * 1024));
  });
}
