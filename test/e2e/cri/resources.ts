// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { cgroupHierarchies } from "../../../src/host/cgroups/hierarchies.ts";
import type { CriNode } from "../../support/cri/node.ts";
import type { CriPod } from "../../support/cri/pod.ts";
import { MEMORY_MIB } from "../../support/template-world.ts";
import { until } from "./until.ts";

const MIB = 1024 * 1024;
const POD_MIB = 128;
/** As kubelet reckons it: what the containers may have, and the overhead of the RuntimeClass. */
const POD_LIMIT = (MEMORY_MIB + 2 * POD_MIB) * MIB;
const PARENT = "/mukon-e2e/sized";
const LIMITS = { cpuPeriod: 100_000n, cpuQuota: 50_000n, memoryLimitInBytes: BigInt(64 * MIB) };
const READ = "cd /sys/fs/cgroup; cat memory.max cpu.max";

/** Limits of the pod hold on the host, those of its containers in the guest. */
export function resources(getNode: () => CriNode): void {
  suite("resources", () => {
    let node: CriNode;
    let pod: CriPod;
    let id: string;
    before(async () => {
      node = getNode();
      limitParent();
      pod = await node.runPod("sized", {
        config: {
          linux: {
            cgroupParent: PARENT,
            resources: { ...LIMITS, memoryLimitInBytes: BigInt(POD_MIB * MIB) },
            overhead: { memoryLimitInBytes: BigInt(MEMORY_MIB * MIB) },
          },
        },
      });
      id = await pod.start("limited", ["sleep", "100000"], { linux: { resources: LIMITS } });
    });
    after(async () => {
      await pod?.remove();
      // containerd 2 may have removed a pod before its shim has ended it.
      await until(() => parents().every((directory) => !existsSync(join(directory, pod.id))));
      // What was there before the pod is not the pod's to remove.
      for (const directory of parents()) {
        rmdirSync(directory);
        if (readdirSync(dirname(directory), { withFileTypes: true }).every((one) => one.isFile())) {
          rmdirSync(dirname(directory));
        }
      }
    });

    test("VMM, keeper and virtiofsd are in the pod's cgroup, below kubelet's limit", () => {
      const { vmm, keeper, virtiofsd } = pod.state.processes;
      for (const one of [vmm, keeper, virtiofsd]) {
        assert.ok(one);
        const lines = readFileSync(`/proc/${one.pid}/cgroup`, "utf8").trim().split("\n");
        for (const line of lines.filter((text) => !/:name=|^0::\/$/.test(text))) {
          assert.match(line, new RegExp(`:${PARENT}/${pod.id}$`));
        }
      }
      const memory = parents().find((directory) => existsSync(join(directory, "memory.stat")));
      assert.ok(memory, "there is no memory controller");
      const statistics = readFileSync(join(memory, pod.id, "memory.stat"), "utf8");
      assert.match(statistics, new RegExp(`^hierarchical_memory_limit ${POD_LIMIT}$`, "m"));
    });

    test("what is in the pod's cgroup can open no device of the host's but those of every jail", () => {
      const open = 'echo $$ >"$1/cgroup.procs" && : <"$2" && echo opened';
      const groups = parents().map((directory) => join(directory, pod.id));
      for (const [node, isOpened] of [
        ["/dev/null", true],
        ["/dev/zero", false],
      ] as const) {
        const answers = groups
          .filter((group) => existsSync(join(group, "cgroup.procs")))
          .map((group) => spawnSync("sh", ["-c", open, "sh", group, node]).stdout.toString());
        const isEachOpened = answers.map((answer) => answer === "opened\n");
        assert.ok(isOpened ? isEachOpened.every(Boolean) : isEachOpened.includes(false), node);
      }
    });

    test("the guest is as large as the pod's containers may be together, and itself", async () => {
      const [, total] =
        /MemTotal: +(\d+) kB/.exec(await pod.exec(id, "cat", "/proc/meminfo")) ?? [];
      const mib = Number(total) / 1024;
      assert.ok(mib > MEMORY_MIB && mib <= MEMORY_MIB + POD_MIB, `${mib} MiB`);
    });

    test("limits of a container hold in the guest, also when they are changed", async () => {
      assert.equal(await pod.sh(id, READ), `${64 * MIB}\n50000 100000\n`);
      await node.cri.updateContainerResources({
        containerId: id,
        linux: { cpuPeriod: 50_000n, cpuQuota: 10_000n, memoryLimitInBytes: BigInt(48 * MIB) },
      });
      assert.equal(await pod.sh(id, READ), `${48 * MIB}\n10000 50000\n`);
      const { stats } = await node.cri.containerStats({ containerId: id });
      const { availableBytes, workingSetBytes } = stats?.memory ?? {};
      assert.ok(Number(availableBytes?.value) + Number(workingSetBytes?.value) <= 48 * MIB);
    });

    test("a container that takes more memory than it may have ends as OOMKilled", async () => {
      const greedy = await pod.start(
        "greedy",
        ["busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=90M"],
        {
          linux: { resources: { memoryLimitInBytes: BigInt(32 * MIB) } },
        },
      );
      const { exitCode, reason } = await pod.awaitExit(greedy);
      assert.deepEqual([exitCode, reason], [137, "OOMKilled"]);
    });
  });
}

/** The pod's directory in each hierarchy. */
function parents(): string[] {
  return cgroupHierarchies()
    .map(({ mountPoint }) => join(mountPoint, PARENT))
    .filter(existsSync);
}

function limitParent(): void {
  for (const { mountPoint } of cgroupHierarchies()) {
    const directory = join(mountPoint, PARENT);
    mkdirSync(directory, { recursive: true });
    for (const name of ["memory.limit_in_bytes", "memory.max"]) {
      if (existsSync(join(directory, name))) writeFileSync(join(directory, name), `${POD_LIMIT}`);
    }
  }
}
