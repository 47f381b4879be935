// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { checkIdRange, parseSubordinateIds } from "../../../src/host/check/id-range.ts";
import { checkIdentityBackend } from "../../../src/host/check/identity.ts";
import {
  checkCgroup,
  checkKernelRelease,
  checkSeccomp,
  checkUserNamespaces,
} from "../../../src/host/check/kernel.ts";
import { kvmRule } from "../../../src/host/check/kvm-node.ts";
import { checkLandlock } from "../../../src/host/check/landlock.ts";
import { checkPrograms } from "../../../src/host/check/programs.ts";
import { checkSharedFs } from "../../../src/host/check/shared-fs.ts";
import type { CheckResult } from "../../../src/host/check/types.ts";
import { checkUserNetwork } from "../../../src/host/check/user-network.ts";

const RANGE = {
  idRangeStart: 0x70000000,
  idRangeEnd: 0x7ffd0000,
  userPrefix: "kata-",
  identityBackend: "auto",
} as const;

/** Whatever is not well must say what to do. */
function assertAnswer(result: CheckResult, status: CheckResult["status"], text: RegExp): void {
  assert.equal(result.status, status, result.message);
  assert.match(`${result.message} | ${result.remedy ?? ""}`, text);
  assert.equal(result.remedy === undefined, status === "ok");
}

describe("the check of the id range", () => {
  it("is content with a free one, and says how many pods it holds", () => {
    assertAnswer(checkIdRange(RANGE, []), "ok", /4093 pods/);
  });

  const claims: [string, number, number, "ok" | "failed"][] = [
    ["ends where it begins", 100_000, 0x70000000 - 100_000, "ok"],
    ["reaches one id into it", 100_000, 0x70000000 - 100_000 + 1, "failed"],
    ["begins where it ends", 0x7ffd0000, 65_536, "ok"],
    ["begins at its last id", 0x7ffcffff, 65_536, "failed"],
    ["holds it wholly", 1, 0xfffffffe, "failed"],
    ["is one id in its middle", 0x71234567, 1, "failed"],
    ["holds nothing", 0x71234567, 0, "ok"],
  ];
  for (const [title, first, count, expected] of claims) {
    it(`is ${expected} when another claim ${title}`, () => {
      const result = checkIdRange(RANGE, [{ who: "alice", first, count }]);
      assertAnswer(result, expected, expected === "ok" ? /pods/ : /alice.*id_range_start/);
    });
  }

  it("names some of many", () => {
    const many = Array.from({ length: 9 }, (_, index) => ({
      who: `user u${index}`,
      first: 0x70000000 + index,
      count: 1,
    }));
    assertAnswer(checkIdRange(RANGE, many), "failed", /u0, user u1, user u2, 6 more/);
  });

  it("refuses a range without a block", () => {
    assertAnswer(
      checkIdRange({ ...RANGE, idRangeEnd: 0x70000001 }, []),
      "failed",
      /no whole block/,
    );
  });

  it("reads /etc/subuid", () => {
    const text = "alice:100000:65536\n# no\nbroken:1\n1000:200000:65536\n\nbob:x:1\n";
    assert.deepEqual(
      parseSubordinateIds(text, "/etc/subuid").map(({ first, count }) => [first, count]),
      [
        [100_000, 65_536],
        [200_000, 65_536],
      ],
    );
  });
});

describe("the check of programs", () => {
  it("names the packages of what is missing, once each", () => {
    const missing = new Set(["/usr/bin/qemu-system-x86_64", "setpriv", "unshare"]);
    const result = checkPrograms("/usr/bin/qemu-system-x86_64", (name) => !missing.has(name));
    assertAnswer(result, "failed", /apt-get install qemu-system-x86 util-linux/);
  });

  it("does not guess a package for an unknown path", () => {
    const result = checkPrograms("/opt/my-vmm", (name) => name !== "/opt/my-vmm");
    assertAnswer(result, "failed", /\/opt\/my-vmm.*correct their paths/);
  });

  it("is content when all are there", () => {
    assertAnswer(
      checkPrograms("/usr/bin/qemu-system-x86_64", () => true),
      "ok",
      /installed/,
    );
  });
});

describe("the check of names for users", () => {
  const cases = [
    ["auto", { areRecordsServed: true, isEtcWritable: false }, "ok", /records/],
    ["auto", { areRecordsServed: false, isEtcWritable: true }, "ok", /useradd/],
    ["auto", { areRecordsServed: false, isEtcWritable: false }, "failed", /libnss-systemd/],
    ["useradd", { areRecordsServed: true, isEtcWritable: false }, "failed", /cannot be written/],
    ["user-records", { areRecordsServed: false, isEtcWritable: true }, "failed", /nsswitch/],
  ] as const;
  for (const [choice, host, status, text] of cases) {
    it(`says ${status} for ${choice} with ${JSON.stringify(host)}`, () => {
      assertAnswer(checkIdentityBackend(choice, host), status, text);
    });
  }
});

describe("the checks of the kernel", () => {
  it("want user namespaces", () => {
    assertAnswer(
      checkUserNamespaces(() => "15000\n"),
      "ok",
      /15000/,
    );
    assertAnswer(
      checkUserNamespaces(() => "0\n"),
      "failed",
      /sysctl/,
    );
    assertAnswer(
      checkUserNamespaces(() => undefined),
      "failed",
      /CONFIG_USER_NS/,
    );
  });

  it("want seccomp", () => {
    assertAnswer(
      checkSeccomp(() => "Name:\tnode\nSeccomp:\t0\n"),
      "ok",
      /filters/,
    );
    assertAnswer(
      checkSeccomp(() => "Name:\tnode\n"),
      "failed",
      /CONFIG_SECCOMP/,
    );
  });

  it("say whether Landlock is used, without which pods run all the same", () => {
    assertAnswer(
      checkLandlock(() => true),
      "ok",
      /^confines/,
    );
    assertAnswer(
      checkLandlock(() => false),
      "ok",
      /^not used: .*setpriv/,
    );
  });

  it("want pidfd_open", () => {
    assertAnswer(checkKernelRelease("6.1.0-13-amd64\n", true), "ok", /6\.1/);
    assertAnswer(checkKernelRelease("5.12.0", true), "ok", /5\.12/);
    assertAnswer(checkKernelRelease("5.11.9", true), "failed", /5\.12 or later/);
    assertAnswer(checkKernelRelease("", true), "failed", /5\.12/);
  });

  it("tell which control groups there are", () => {
    const mount = (mountPoint: string, fileSystem: string) => ({
      mountPoint,
      fileSystem,
      source: fileSystem,
      options: [],
      superOptions: [],
    });
    assertAnswer(checkCgroup([mount("/sys/fs/cgroup", "cgroup2")]), "ok", /version 2/);
    assertAnswer(checkCgroup([mount("/sys/fs/cgroup/cpu", "cgroup")]), "warning", /version 1/);
    assertAnswer(checkCgroup([]), "warning", /no control groups/);
  });
});

describe("the udev rule", () => {
  it("is the one that is shipped", () => {
    const shipped = new URL("../../../deploy/85-mukon-kvm.rules", import.meta.url);
    assert.equal(readFileSync(shipped, "utf8"), kvmRule("kvm"));
  });
});

describe("sharing files", () => {
  it("is a warning where virtiofsd is missing, and fine where it is switched off", async () => {
    assertAnswer(
      await checkSharedFs({ sharedFs: "virtio-fs", virtioFsDaemon: "/nowhere" }),
      "warning",
      /virtiofsd is not installed.*nowhere/,
    );
    assertAnswer(
      await checkSharedFs({ sharedFs: "none", virtioFsDaemon: "/nowhere" }),
      "ok",
      /switched off/,
    );
  });
});

describe("the check of networks in user mode", () => {
  const found = { find: () => "/bin/true", tryWall: async () => {} };
  const fail = (code: "PASST_MISSING" | "NETWORK_WALL_UNAVAILABLE"): never => {
    throw new MukonError(code, "no", { hint: "what to do" });
  };

  it("is content with passt, whose version may be nobody's to tell, and a wall", async () => {
    assertAnswer(await checkUserNetwork(found), "ok", /passt .*can be walled off/);
  });

  it("warns of what is missing: pods run without", async () => {
    for (const probes of [
      { ...found, find: () => fail("PASST_MISSING") },
      { ...found, tryWall: async () => fail("NETWORK_WALL_UNAVAILABLE") },
    ]) {
      assertAnswer(await checkUserNetwork(probes), "warning", /no \| what to do/);
    }
  });
});
