// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { processesOfBlocks } from "../../../src/host/identity/block-processes.ts";
import { programJail } from "../../../src/host/jail/program-jail.ts";
import { isRunning } from "../../../src/host/journal/liveness.ts";
import { launchConfined } from "../../../src/host/launcher/launch.ts";
import type { ConfinedLaunch, LaunchedProcess } from "../../../src/host/launcher/types.ts";
import {
  awaitConfinement,
  expectedConfinement,
  findDeviations,
} from "../../../src/host/launcher/verify.ts";
import { listMounts, type Mount } from "../../../src/linux/mounts.ts";
import {
  listProcesses,
  readDescriptors,
  readNamespaces,
  readProcessStatus,
  readStartTime,
} from "../../../src/linux/process-status.ts";
import { leavesNoTrace, SKIP_UNLESS_ROOT } from "./support.ts";

const ID = 0x6000_0001;
const SLEEPER: ConfinedLaunch = {
  role: "sleeper",
  argv: ["/bin/sleep", "600"],
  uid: ID,
  gid: ID,
  groups: [6],
  stdio: ["ignore", "ignore", "ignore"],
};
const EXPECTED = expectedConfinement(SLEEPER, { seccomp: "any" });

async function withLaunch(
  launch: ConfinedLaunch,
  work: (launched: LaunchedProcess) => Promise<void> | void,
): Promise<void> {
  const launched = await launchConfined(launch);
  try {
    await work(launched);
  } finally {
    await kill(launched.child);
  }
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGKILL");
  await ended;
}

/** The program once it is no longer one of the tools before it. */
async function awaitName(pid: number, name: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries += 1) {
    if (readProcessStatus(pid)?.name === name) return;
    await sleep(2);
  }
  throw new Error(`process ${pid} is not ${name}`);
}

describe("launching without rights", { skip: SKIP_UNLESS_ROOT }, () => {
  leavesNoTrace();

  it("leaves a program no rights, and it is seen to be so", async () => {
    await withLaunch(SLEEPER, async (launched) => {
      await awaitConfinement(launched, EXPECTED);
      const status = readProcessStatus(launched.pid);
      assert.equal(status?.name, "sleep");
      assert.deepEqual(status?.uids, [ID, ID, ID, ID]);
      assert.deepEqual(status?.groups, [6]);
      assert.equal(status?.capabilities.bounding, 0n);
      assert.equal(status?.noNewPrivileges, true);
    });
  });

  it("gives it an empty environment, no core dumps, and the descriptors that were listed", async () => {
    const passed = openSync("/etc/hostname", "r");
    try {
      const launch = { ...SLEEPER, stdio: ["ignore", "ignore", "ignore", passed] as const };
      await withLaunch(launch, ({ pid }) => {
        assert.equal(readFileSync(`/proc/${pid}/environ`, "utf8"), "");
        const limits = readFileSync(`/proc/${pid}/limits`, "utf8");
        assert.match(limits, /Max core file size +0 +0 /);
        const descriptors = readDescriptors(pid);
        assert.deepEqual([...descriptors.keys()], [0, 1, 2, 3]);
        assert.equal(descriptors.get(3), "/etc/hostname");
      });
    } finally {
      closeSync(passed);
    }
  });

  it("lets it neither signal nor read the shim, nor use the network", async () => {
    const script = [
      `kill -0 ${process.pid} 2>/dev/null && echo signalled`,
      `cat /proc/${process.pid}/environ >/dev/null 2>&1 && echo read`,
      "cat /etc/shadow >/dev/null 2>&1 && echo shadow",
      // Interfaces of this network namespace: the two header lines and lo, which is down.
      'test "$(grep -c . /proc/self/net/dev)" = 3 || echo interfaces',
      "unshare --user true 2>/dev/null; mount -t tmpfs none /mnt 2>/dev/null && echo mounted",
      "su -c true 2>/dev/null && echo became-root",
      "echo done; exec sleep 600",
    ].join("\n");
    const launch: ConfinedLaunch = {
      ...SLEEPER,
      argv: ["/bin/sh", "-c", script],
      stdio: ["ignore", "pipe", "ignore"],
    };
    await withLaunch(launch, async ({ child }) => {
      const said = await new Promise<string>((done) => {
        let text = "";
        child.stdout?.on("data", (chunk: Buffer) => {
          text += chunk;
          if (text.includes("done")) done(text);
        });
      });
      assert.equal(said, "done\n");
    });
  });

  it("shows a program in a jail nothing of the host, and leaves it no way back", async () => {
    const before = readNamespaces(process.pid);
    const shell = await programJail("/bin/sh", []);
    const tools = await Promise.all(["/bin/ls", "/bin/cat"].map((tool) => programJail(tool, [])));
    const paths = [...shell.paths, ...tools.flatMap((tool) => tool.paths)];
    const script = [
      "for path in /etc/passwd /home /sys /root /proc/sys /proc/kcore /.launch/setpriv; do",
      '  test -e "$path" && echo "sees $path"; done',
      `test -e /proc/${process.pid} && echo "sees the shim"`,
      'for other in /proc/[0-9]*; do test -O "$other" || echo "sees $other"; done; cd ../..',
      "ls /proc/self/root/../home 2>/dev/null && echo outside",
      "(: >/new) 2>/dev/null && echo wrote",
      "(: >>/bin/sh) 2>/dev/null && echo wrote-program",
      "echo done; while :; do cat; done",
    ].join("\n");
    const launch: ConfinedLaunch = {
      ...SLEEPER,
      argv: ["/bin/sh", "-c", script],
      stdio: ["pipe", "pipe", "ignore"],
      jail: { ...shell, paths },
    };
    await withLaunch(launch, async (launched) => {
      const [said] = (await once(launched.child.stdout ?? process.stdin, "data")) as [Buffer];
      assert.equal(String(said), "done\n");
      await awaitConfinement(launched, expectedConfinement(launch, { seccomp: "any" }));
    });
    assert.deepEqual(readNamespaces(process.pid), before, "the launcher is back where it was");
  });

  it("starts nothing when a step of the jail does not work", async () => {
    const launch = { ...SLEEPER, jail: { paths: ["/no/such/file"], devices: [] } };
    await assert.rejects(launchConfined(launch), {
      code: "JAIL_NOT_BUILT",
      message: /show \/no\/such/,
    });
    await withLaunch(SLEEPER, (launched) => awaitConfinement(launched, EXPECTED));
  });

  it("starts root without capabilities when root is allowed by name", async () => {
    const launch = { ...SLEEPER, uid: 0, gid: 0, groups: [], isRootAllowed: true };
    await withLaunch(launch, async (launched) => {
      await awaitConfinement(launched, expectedConfinement(launch, { seccomp: "any" }));
    });
    await assert.rejects(launchConfined({ ...launch, isRootAllowed: false }), {
      code: "LAUNCH_REFUSED",
    });
  });

  it("says what a program said that did not start", async () => {
    const launch: ConfinedLaunch = {
      ...SLEEPER,
      argv: ["/usr/bin/no-such-vmm"],
      stdio: ["ignore", "ignore", "pipe"],
    };
    await assert.rejects(launchConfined(launch), {
      code: "LAUNCH_FAILED",
      message: /no-such-vmm.*exit code 127.*No such file/,
    });
  });

  it("lets it not outlive the process that launched it", async () => {
    const { parent, pid } = await launchElsewhere(1);
    const handle = { pid, startTime: readStartTime(pid) ?? 0n };
    assert.equal(isRunning(handle), true);
    await kill(parent);
    for (let tries = 0; isRunning(handle) && tries < 500; tries += 1) await sleep(10);
    assert.equal(isRunning(handle), false);
  });

  it("leaves no process and no mount when the launcher is killed in the middle", async () => {
    const mounts = mountsAtSite();
    for (let round = 0; round < 5; round += 1) {
      const { parent } = await launchElsewhere(1000);
      await sleep(randomInt(40));
      await kill(parent);
      for (let tries = 0; launched().length > 0 && tries < 500; tries += 1) {
        // Who has dropped its rights, and does not yet ask for the signal, is found as clean-up does.
        for (const { pid } of processesOfBlocks([ID >> 16])) process.kill(pid, "SIGKILL");
        await sleep(10);
      }
      assert.deepEqual(launched(), [], "processes that were on their way");
    }
    assert.deepEqual(mountsAtSite(), mounts);
  });
});

/** Starts a process that launches some sleepers; resolves when the first is there. */
async function launchElsewhere(count: number): Promise<{ parent: ChildProcess; pid: number }> {
  const script = fileURLToPath(new URL("launch-and-wait.ts", import.meta.url));
  const args = ["--import", "tsx", script, String(ID), String(count)];
  const parent = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  return { parent, pid: Number.parseInt(String(line), 10) };
}

/** Where jails are put together. */
function mountsAtSite(): Mount[] {
  return listMounts().filter(({ mountPoint }) => /^\/sys($|\/jail)/.test(mountPoint));
}

/** Command lines of the tools and programs of launches with our id, wherever they have come to. */
function launched(): string[] {
  return listProcesses()
    .filter(
      (pid) => readProcessStatus(pid)?.uids[0] === ID || commandOf(pid).includes(`--reuid ${ID}`),
    )
    .map(commandOf);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

describe("a step of the launch that does not work", { skip: SKIP_UNLESS_ROOT }, () => {
  leavesNoTrace();
  const drop = ["--nnp", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"];
  const ids = ["--reuid", String(ID), "--regid", String(ID)];
  const namespaces = ["unshare", "--net", "--ipc", "--uts"];
  const program = ["--", "/bin/sleep", "600"];
  const cases: [string, string[], string[]][] = [
    ["nothing is wrong", [...namespaces, "setpriv", ...ids, "--groups=6", ...drop], []],
    [
      "the user is not changed",
      [...namespaces, "setpriv", "--regid", String(ID), "--groups=6", ...drop],
      ["uid"],
    ],
    [
      "only the effective user is changed",
      [
        ...namespaces,
        "setpriv",
        "--euid",
        String(ID),
        "--regid",
        String(ID),
        "--groups=6",
        ...drop,
      ],
      ["uid"],
    ],
    [
      "the group is not changed",
      [...namespaces, "setpriv", "--reuid", String(ID), "--groups=6", ...drop],
      ["gid"],
    ],
    ["one group too many", [...namespaces, "setpriv", ...ids, "--groups=6,0", ...drop], ["groups"]],
    ["no group", [...namespaces, "setpriv", ...ids, "--clear-groups", ...drop], ["groups"]],
    [
      "the bounding set is kept",
      [...namespaces, "setpriv", ...ids, "--groups=6", ...drop.slice(0, 3)],
      ["capabilities"],
    ],
    [
      "one ambient capability is given",
      [
        ...[...namespaces, "setpriv", ...ids, "--groups=6", "--nnp"],
        ...["--inh-caps=-all,+net_raw", "--ambient-caps=-all,+net_raw"],
        "--bounding-set=-all,+net_raw",
      ],
      ["capabilities"],
    ],
    [
      "no_new_privs is forgotten",
      [...namespaces, "setpriv", ...ids, "--groups=6", ...drop.slice(1)],
      ["nnp"],
    ],
    [
      "no network namespace is made",
      ["unshare", "--ipc", "--uts", "setpriv", ...ids, "--groups=6", ...drop],
      ["namespace"],
    ],
    [
      "all of it is left out",
      ["nice"],
      ["uid", "gid", "groups", "capabilities", "nnp", "namespace"],
    ],
  ];
  for (const [title, command, expected] of cases) {
    it(`is seen: ${title}`, async () => {
      const [tool = "", ...args] = [...command, ...program.slice(command[0] === "nice" ? 1 : 0)];
      const child = spawn(tool, args, { stdio: "ignore" });
      try {
        await awaitName(child.pid ?? 0, "sleep");
        const target = { pid: child.pid ?? 0, startTime: readStartTime(child.pid ?? 0) ?? 0n };
        const facts = findDeviations(target, EXPECTED).map(({ fact }) => fact);
        assert.deepEqual([...new Set(facts)], expected);
        if (expected.length > 0) {
          await assert.rejects(awaitConfinement(target, EXPECTED), { code: "CONFINEMENT_BROKEN" });
        }
        const filtered = { ...EXPECTED, seccomp: "filter" as const };
        await assert.rejects(awaitConfinement(target, filtered, { timeoutMs: 20 }), {
          code: "CONFINEMENT_BROKEN",
          message: /seccomp/,
        });
      } finally {
        await kill(child);
      }
    });
  }
});
