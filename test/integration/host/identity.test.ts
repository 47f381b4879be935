// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { acquireIdentity } from "../../../src/host/identity/acquire.ts";
import { listBlocks } from "../../../src/host/identity/blocks.ts";
import { releaseIdentity } from "../../../src/host/identity/release.ts";
import type { IdentityBackend } from "../../../src/host/identity/types.ts";
import { areUserRecordsServed } from "../../../src/host/identity/user-records.ts";
import { Journal } from "../../../src/host/journal/journal.ts";
import { isRunning } from "../../../src/host/journal/liveness.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import { launchConfined } from "../../../src/host/launcher/launch.ts";
import { run } from "../../../src/linux/run.ts";
import { useTemporaryRoots } from "../../unit/host/roots.ts";
import { leavesNoTrace, SKIP_UNLESS_ROOT, testIdentities, traces } from "./support.ts";

const PODS = 20;
const BACKENDS: IdentityBackend[] = ["useradd", "user-records"];
const NO_RECORDS = areUserRecordsServed()
  ? false
  : "nss-systemd is not in use here (libnss-systemd, /etc/nsswitch.conf)";

describe("identities of pods", { skip: SKIP_UNLESS_ROOT }, () => {
  useTemporaryRoots();
  leavesNoTrace();

  async function withSandbox(
    test: TestContext,
    key: string,
    work: (journal: Journal) => Promise<void>,
  ): Promise<void> {
    const journal = Journal.open(key);
    test.after(async () => {
      journal.close();
      await tearDown(key);
    });
    await work(journal);
  }

  for (const backend of BACKENDS) {
    describe(`named by ${backend}`, { skip: backend === "user-records" && NO_RECORDS }, () => {
      const config = testIdentities(backend);

      it("have a name that resolves, and none once they are gone", async (test) => {
        await withSandbox(test, "named", async (journal) => {
          const identity = await acquireIdentity({ config, journal });
          const { name, uid, gid } = identity.vmm;
          assert.equal(identity.backend, backend);
          for (const query of [name, String(uid)]) {
            const [found, , id, group, , , shell] = (await run(["getent", "passwd", query])).stdout
              .trim()
              .split(":");
            assert.deepEqual([found, id, group], [name, String(uid), String(gid)]);
            assert.equal(shell, "/usr/sbin/nologin");
          }
          const group = await run(["getent", "group", String(gid)]);
          assert.match(group.stdout, new RegExp(`^${name}:[^:]*:${gid}:`));
          journal.close();
          await tearDown("named");
          const gone = await run(["getent", "passwd", name, String(uid)], { allowFailure: true });
          assert.equal(gone.stdout, "");
          assert.deepEqual(traces(), []);
        });
      });

      it(`are all different for ${PODS} pods at once`, async () => {
        const keys = Array.from({ length: PODS }, (_, index) => `crowd-${index}`);
        const identities = await Promise.all(
          keys.map(async (key) => {
            const journal = Journal.open(key);
            const identity = await acquireIdentity({ config, journal });
            journal.close();
            return identity;
          }),
        );
        const ids = identities.flatMap(({ block, vmm, keeper }) => [
          block.base,
          vmm.uid,
          keeper.uid,
        ]);
        assert.equal(new Set(ids).size, PODS * 3);
        assert.equal(listBlocks().length, PODS);
        const names = identities.map(({ vmm }) => vmm.name);
        const resolved = await run(["getent", "passwd", ...names]);
        assert.equal(resolved.stdout.trim().split("\n").length, PODS);
        await Promise.all(keys.map((key) => tearDown(key)));
        assert.deepEqual(listBlocks(), []);
        assert.deepEqual(traces(), []);
      });

      it("are freed only when no process of theirs is left", async (test) => {
        await withSandbox(test, "busy", async (journal) => {
          const identity = await acquireIdentity({ config, journal });
          const sleeper = await launchConfined({
            role: "sleeper",
            argv: ["/bin/sleep", "600"],
            ...identity.keeper,
            groups: [],
            stdio: ["ignore", "ignore", "ignore"],
          });
          await releaseIdentity(identity, "somebody else");
          assert.equal(isRunning(sleeper), true);
          await releaseIdentity(identity, "busy");
          assert.equal(isRunning(sleeper), false);
          assert.deepEqual(listBlocks(), []);
          await releaseIdentity(identity, "busy");
        });
      });
    });
  }

  it("run out with an error that says so", async (test) => {
    await withSandbox(test, "first", async (first) => {
      await withSandbox(test, "second", async (second) => {
        const config = testIdentities("useradd", 1);
        await acquireIdentity({ config, journal: first });
        await assert.rejects(acquireIdentity({ config, journal: second }), {
          code: "ID_RANGE_EXHAUSTED",
          hint: /mukon gc/,
        });
      });
    });
  });

  it("keep clear of ids that somebody has already", async (test) => {
    const config = testIdentities("useradd", 1);
    await run(["groupadd", "-g", String(config.idRangeStart + 500), "mkhost-other"]);
    test.after(() => run(["groupdel", "mkhost-other"]));
    await withSandbox(test, "clash", async (journal) => {
      await assert.rejects(acquireIdentity({ config, journal }), { code: "ID_RANGE_EXHAUSTED" });
    });
  });

  it("name the stale lock file that keeps users from being made", async (test) => {
    const lock = "/etc/group.lock";
    assert.equal(existsSync(lock), false, `${lock} is there already`);
    // What a killed useradd leaves when the disk was full: no process id in it.
    writeFileSync(lock, "");
    test.after(() => rmSync(lock, { force: true }));
    await withSandbox(test, "locked", async (journal) => {
      const config = testIdentities("useradd");
      await assert.rejects(acquireIdentity({ config, journal }), {
        code: "USER_DATABASE_LOCKED",
        hint: /rm \/etc\/group\.lock/,
      });
      rmSync(lock);
    });
  });

  it("say that /etc is read-only, and what to use then", () => {
    const child = fileURLToPath(new URL("read-only-etc.ts", import.meta.url));
    const result = spawnSync(
      "unshare",
      [
        ...["--mount", "--propagation", "private", "sh", "-c"],
        'mount --bind /etc /etc && mount -o remount,bind,ro /etc && exec "$@"',
        ...["sh", process.execPath, "--import", "tsx", child],
      ],
      { encoding: "utf8", env: process.env },
    );
    assert.match(result.stdout, /^USER_DATABASE_READ_ONLY user-records/, result.stderr);
    assert.equal(readFileSync("/etc/passwd", "utf8").includes("mkhost-"), false);
  });
});
