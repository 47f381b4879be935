// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { confinementChain } from "../../../src/host/launcher/chain.ts";
import { collectTail } from "../../../src/host/launcher/stderr-tail.ts";
import type { ConfinedLaunch, ExpectedConfinement } from "../../../src/host/launcher/types.ts";
import {
  awaitConfinement,
  expectedConfinement,
  type ProcessReader,
  verifyConfinement,
} from "../../../src/host/launcher/verify.ts";
import type { ProcessStatus } from "../../../src/linux/process-status.ts";

const LAUNCH: ConfinedLaunch = {
  role: "vmm",
  argv: ["/usr/bin/qemu", "-S"],
  uid: 5001,
  gid: 5001,
  groups: [107],
  stdio: ["ignore", "ignore", "pipe"],
};
const EXPECTED: ExpectedConfinement = expectedConfinement(LAUNCH, { seccomp: "filter" });
const TARGET = { pid: 4242, startTime: 99n };
const THREAD: ProcessStatus = {
  name: "qemu",
  pid: 4242,
  ppid: 1,
  state: "S",
  uids: [5001, 5001, 5001, 5001],
  gids: [5001, 5001, 5001, 5001],
  groups: [107],
  capabilities: { inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n, ambient: 0n },
  noNewPrivileges: true,
  seccomp: 2,
  threads: 1,
  startTime: 99n,
};

function reader(threads: readonly Partial<ProcessStatus>[]): ProcessReader {
  return {
    isSame: () => true,
    threads: () => threads.map((thread) => ({ ...THREAD, ...thread })),
    namespaces: (pid) =>
      pid === "self"
        ? { net: "net:[1]", ipc: "ipc:[1]", uts: "uts:[1]" }
        : { net: "net:[2]", ipc: "ipc:[2]", uts: "uts:[2]" },
    root: () => undefined,
  };
}

describe("reading confinement back", () => {
  it("accepts a process that is as it was meant to be", () => {
    verifyConfinement(TARGET, EXPECTED, reader([{}, {}]));
  });

  const none = THREAD.capabilities;
  const broken: [string, Partial<ProcessStatus>, RegExp][] = [
    ["its user is root", { uids: [0, 0, 0, 0] }, /user ids are 0 0 0 0/],
    ["its saved user id is root", { uids: [5001, 5001, 0, 5001] }, /user ids/],
    ["its file system user id is root", { uids: [5001, 5001, 5001, 0] }, /user ids/],
    ["its user is another pod's", { uids: [5002, 5002, 5002, 5002] }, /not 5001/],
    ["its group is root", { gids: [0, 0, 0, 0] }, /group ids/],
    ["its saved group id is root", { gids: [5001, 5001, 0, 5001] }, /group ids/],
    ["it has one group more", { groups: [107, 0] }, /supplementary groups are 107 0/],
    ["it has lost its group", { groups: [] }, /supplementary groups are none/],
    ["no_new_privs is off", { noNewPrivileges: false }, /no_new_privs/],
    ["seccomp is off", { seccomp: 0 }, /seccomp/],
    ["seccomp is of another kind", { seccomp: 1 }, /seccomp/],
    ...Object.keys(none).map((set): [string, Partial<ProcessStatus>, RegExp] => [
      `a capability is left in the ${set} set`,
      { capabilities: { ...none, [set]: 1n << 40n } },
      new RegExp(`capabilities are left \\(${set}`),
    ]),
  ];
  for (const [title, difference, message] of broken) {
    it(`refuses when ${title}`, () => {
      const check = (): void => verifyConfinement(TARGET, EXPECTED, reader([difference]));
      assert.throws(check, { code: "CONFINEMENT_BROKEN", message });
    });
    it(`refuses when ${title} in one thread of several`, () => {
      const check = (): void => verifyConfinement(TARGET, EXPECTED, reader([{}, {}, difference]));
      assert.throws(check, { code: "CONFINEMENT_BROKEN", message });
    });
  }

  it("names every difference at once", () => {
    const threads = [{ uids: [0, 0, 0, 0], noNewPrivileges: false }];
    assert.throws(
      () => verifyConfinement(TARGET, EXPECTED, reader(threads)),
      (error: { details?: { deviations?: string[] } }) => error.details?.deviations?.length === 2,
    );
  });

  for (const name of ["net", "ipc", "uts"] as const) {
    it(`refuses when it is in our ${name} namespace`, () => {
      const usual = reader([{}]);
      const shared: ProcessReader = {
        ...usual,
        namespaces: (pid) => ({ ...usual.namespaces(pid), [name]: `${name}:[1]` }),
      };
      assert.throws(() => verifyConfinement(TARGET, EXPECTED, shared), {
        code: "CONFINEMENT_BROKEN",
        message: new RegExp(`no ${name} namespace of its own`),
      });
    });
  }

  it("refuses when nothing can be read of it", () => {
    const gone = { ...reader([]), namespaces: () => ({}) };
    assert.throws(() => verifyConfinement(TARGET, EXPECTED, gone), { code: "CONFINEMENT_BROKEN" });
  });

  it("says that a process has ended which is in no namespace any more", () => {
    const ending = { ...reader([{}]), namespaces: () => ({}) };
    assert.throws(() => verifyConfinement(TARGET, EXPECTED, ending), {
      code: "CONFINEMENT_BROKEN",
      message: /: the process has ended$/,
    });
  });

  it("refuses when the pid belongs to a later process", () => {
    const other = { ...reader([{}]), isSame: () => false };
    assert.throws(() => verifyConfinement(TARGET, EXPECTED, other), { code: "CONFINEMENT_BROKEN" });
  });
});

describe("waiting for confinement", () => {
  it("gives the program time to switch its filter on", async () => {
    let reads = 0;
    const late: ProcessReader = {
      ...reader([{}]),
      threads: () => {
        reads += 1;
        return [{ ...THREAD, seccomp: reads < 4 ? 0 : 2 }];
      },
    };
    await awaitConfinement(TARGET, EXPECTED, { reader: late });
    assert.equal(reads, 4);
  });

  it("does not wait for anything else", async () => {
    const options = { reader: reader([{ seccomp: 0, uids: [0, 0, 0, 0] }]), timeoutMs: 60_000 };
    await assert.rejects(awaitConfinement(TARGET, EXPECTED, options), {
      code: "CONFINEMENT_BROKEN",
    });
  });

  it("does not wait for ever", async () => {
    const options = { reader: reader([{ seccomp: 0 }]), timeoutMs: 20 };
    await assert.rejects(awaitConfinement(TARGET, EXPECTED, options), { message: /seccomp/ });
  });
});

describe("the command that confines", () => {
  const own = { hardMaxOpenFiles: 1024, oomScoreAdjust: -999 };

  it("drops everything before the program starts, and leaves its arguments alone", () => {
    const chain = confinementChain(LAUNCH, { own });
    assert.deepEqual(chain.slice(-3), ["--", "/usr/bin/qemu", "-S"]);
    const text = chain.join(" ");
    for (const part of [
      "--net --ipc --uts",
      "--core=0 --nofile=1024:1024",
      "-n 0 --",
      "--reuid 5001 --regid 5001 --groups=107 --nnp",
      "--inh-caps=-all --ambient-caps=-all --bounding-set=-all",
      "--pdeathsig KILL",
    ]) {
      assert.ok(text.includes(part), `${part} in ${text}`);
    }
    assert.ok(chain.every((word, index) => index > 0 || word.startsWith("/")));
  });

  it("clears all groups when none is given, and never lowers the kernel's will to kill it", () => {
    const chain = confinementChain(
      { ...LAUNCH, groups: [] },
      { own: { ...own, oomScoreAdjust: 300 } },
    );
    assert.ok(chain.includes("--clear-groups"));
    assert.ok(!chain.some((word) => word.endsWith("/choom")));
  });

  it("leaves in the host's network only what is behind a wall, and in a jail", () => {
    const jail = { paths: ["/usr/bin/qemu"], devices: [] };
    const walled = { ...LAUNCH, jail, placeBehindWall: () => {} };
    const chain = confinementChain(walled, { own, doorPath: "/proc/1/fd/9" });
    assert.ok(chain.join(" ").includes("unshare --ipc --uts "));
    assert.ok(!chain.includes("--net"));
    const { ownNamespaces } = expectedConfinement(walled, { seccomp: "filter" });
    assert.deepEqual(ownNamespaces, ["ipc", "uts", "mnt", "pid"]);
  });

  const refused: [string, Partial<ConfinedLaunch>][] = [
    ["the host's network without a jail", { placeBehindWall: () => {} }],
    ["root", { uid: 0 }],
    ["the root group", { gid: 0 }],
    ["root as a supplementary group", { groups: [0], isRootAllowed: true }],
    ["two supplementary groups", { groups: [107, 108] }],
    ["no number", { uid: Number.NaN }],
    ["a negative number", { gid: -1 }],
    ["the number that means none", { uid: 0xffff_ffff }],
    ["a fraction", { groups: [1.5] }],
    ["a program that is looked for in PATH", { argv: ["qemu"] }],
    ["no program", { argv: [] }],
  ];
  for (const [title, difference] of refused) {
    it(`is refused for ${title}`, () => {
      assert.throws(() => confinementChain({ ...LAUNCH, ...difference }, { own }), {
        code: "LAUNCH_REFUSED",
      });
    });
  }

  it("starts as root only when that is asked for by name, and without capabilities then", () => {
    const chain = confinementChain({ ...LAUNCH, uid: 0, gid: 0, groups: [], isRootAllowed: true });
    assert.ok(chain.includes("--bounding-set=-all"));
  });
});

describe("what a confined program says", () => {
  it("cannot drive a terminal, nor fill the memory", async () => {
    const stream = Readable.from([
      Buffer.alloc(1_000_000, "x"),
      Buffer.from("\u001b]0;title\u0007\u001b[2Jcolour\r\u202ehidden\nlast\tline\u009b"),
    ]);
    const tail = collectTail(stream);
    await sleep(10);
    assert.ok(tail().length <= 8 * 1024);
    assert.ok(tail().endsWith("]0;title[2Jcolourhidden\nlast\tline"));
  });
});
