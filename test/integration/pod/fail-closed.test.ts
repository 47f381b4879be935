// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { canLandlock } from "../../../src/host/launcher/landlock.ts";
import { run } from "../../../src/linux/run.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { type PrivateMount, privateMounts } from "../../support/private-mounts.ts";

// Every step of a pod's start is broken in turn, for one start only. None of them boots a guest.

const QEMU = "/usr/bin/qemu-system-x86_64";
/** Runs what comes after the tool's own options, and does nothing else. */
const IDLE_SETPRIV = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n';
const IDLE_UNSHARE = '#!/bin/sh\nwhile [ "$1" != /usr/bin/prlimit ]; do shift; done\nexec "$@"\n';

/** A program without its filter is not waited for as long as on a host that is out of breath. */
const SOON = { MUKON_FILTER_TIMEOUT_MS: "10000" };

let world: PodWorld;
before(() => {
  world = new PodWorld();
});
beforeEach(() => world.configure({ "hypervisor.qemu": { accelerator: "tcg" } }));
after(() => world.end());

test("a QEMU that runs without its seccomp filter is detected", async () => {
  const path = world.executable("unfiltered-qemu", withoutArgument("-sandbox", 2, QEMU));
  world.configure({ "hypervisor.qemu": { accelerator: "tcg", path } });
  const { stderr } = await world.assertRefused([], /CONFINEMENT_BROKEN/, { env: SOON });
  assert.match(stderr, /no seccomp filter is on/);
});

test("a QEMU that is missing, fails or ends at once is named", async () => {
  const failing = world.executable("failing-qemu", "#!/bin/sh\necho no such machine >&2\nexit 3\n");
  for (const [path, pattern] of [
    [join(world.directory, "no-qemu"), /LAUNCH_FAILED/],
    [failing, /no such machine/],
    ["/bin/true", /LAUNCH_FAILED|CONFINEMENT_BROKEN/],
  ] as const) {
    world.configure({ "hypervisor.qemu": { accelerator: "tcg", path } });
    await world.assertRefused([], pattern);
  }
});

test("tools that do not drop what they should are detected, whatever they leave", async () => {
  const real = world.executable("setpriv", readFileSync("/usr/bin/setpriv"));
  type Case = [tool: string, script: string, deviation: RegExp];
  const privileged: Case = ["setpriv", withoutArgument("--nnp", 1, real), /no_new_privs is off/];
  const cases: Case[] = [
    ["setpriv", IDLE_SETPRIV, /user ids are 0 0 0 0/],
    // Where it confines by Landlock, it sees to that unasked.
    ...(canLandlock() ? [] : [privileged]),
    [
      "setpriv",
      withoutArgument("--bounding-set=-all", 1, real),
      /capabilities are left \(bounding/,
    ],
    ["unshare", IDLE_UNSHARE, /no net namespace of its own/],
  ];
  for (const [tool, script, deviation] of cases) {
    const under = withFile(`/usr/bin/${tool}`, world.executable(`${tool}.sh`, script));
    const { stderr } = await world.assertRefused([], /CONFINEMENT_BROKEN/, { under });
    assert.match(stderr, deviation);
  }
});

test("a setpriv that fails keeps the pod from starting, and its words are passed on", async () => {
  // The shim itself is not started as somebody else.
  const failing = 'case "$*" in *--reuid*) echo setresuid failed >&2; exit 127;; esac';
  const script = IDLE_SETPRIV.replace("\n", `\n${failing}\n`);
  const under = withFile("/usr/bin/setpriv", world.executable("setpriv.sh", script));
  await world.assertRefused([], /LAUNCH_FAILED|CONFINEMENT_BROKEN/, { under });
});

test("a jail that cannot be finished, or is not entered, keeps the pod from starting", async () => {
  const cases: [string, string, RegExp, RegExp][] = [
    [
      "mount",
      "#!/bin/sh\necho no more mounts >&2\nexit 32\n",
      /JAIL_NOT_BUILT/,
      /mount .proc: no more/,
    ],
    ["mount", "#!/bin/sh\n", /CONFINEMENT_BROKEN|LAUNCH_FAILED/, /it has no .proc|.proc.self.fd/],
    ["nsenter", IDLE_SETPRIV, /LAUNCH_FAILED/, /\.launch.setpriv/],
  ];
  for (const [tool, script, code, message] of cases) {
    const under = withFile(`/usr/bin/${tool}`, world.executable(`${tool}.sh`, script));
    const { stderr } = await world.assertRefused([], code, { under });
    assert.match(stderr, message);
  }
});

test("a node of KVM that belongs to the root group is an error that names the remedy", async () => {
  const node = join(world.directory, "kvm");
  await run(["mknod", "-m", "0660", node, "c", "10", "232"]);
  world.configure({ "hypervisor.qemu": { accelerator: "kvm" } });
  const env = { MUKON_KVM_NODE: node };
  const { stderr } = await world.assertRefused([], /KVM_GROUP_ROOT/, { env });
  assert.match(stderr, /mukon check --fix/);
});

test("a node of KVM that is missing does not become emulation when KVM was asked for", async () => {
  world.configure({ "hypervisor.qemu": { accelerator: "kvm" } });
  const env = { MUKON_KVM_NODE: join(world.directory, "no-kvm") };
  await world.assertRefused([], /KVM_NODE_MISSING|ACCELERATOR_UNAVAILABLE/, { env });
});

test("with a stale lock, or a read-only /etc, no user can be made, and the error says why", async () => {
  const copy = join(world.directory, "etc");
  cpSync("/etc", copy, { recursive: true, verbatimSymlinks: true });
  world.configure({
    "hypervisor.qemu": { accelerator: "tcg" },
    mukon: { identity_backend: "useradd" },
  });
  const etc = { source: copy, target: "/etc" };
  await world.assertRefused([], /USER_DATABASE_READ_ONLY/, {
    under: privateMounts(world, [{ ...etc, isReadOnly: true }]),
  });
  for (const lock of ["passwd.lock", "group.lock"]) writeFileSync(join(copy, lock), "4194305\n");
  const { stderr } = await world.assertRefused([], /USER_DATABASE_LOCKED/, {
    under: privateMounts(world, [etc]),
  });
  assert.match(stderr, /rm \/etc\/[a-z]+\.lock/);
});

test("a runtime directory that belongs to someone else is not taken over", async () => {
  const root = join(world.directory, "user");
  await run(["install", "-d", "-m", "0777", root]);
  const env = { MUKON_RUNTIME_DIR_ROOT: root };
  await world.assertRefused([], /RUNTIME_DIRECTORY_FOREIGN/, { env });
});

test("a keeper that does not start ends the pod", async () => {
  for (const script of ["process.exit(7)", "throw new Error('no keeper today')"]) {
    const env = { MUKON_PROGRAMS: world.programs({ "keeper.cjs": script }) };
    await world.assertRefused([], /keeper|POD_ENDED|LAUNCH_FAILED|CONFINEMENT_BROKEN/, { env });
  }
});

test("a keeper that runs without its seccomp filter is detected", async () => {
  const programs = world.programs({ "keeper.cjs": "setInterval(() => {}, 1000)" });
  const env = { ...SOON, MUKON_PROGRAMS: programs };
  const { stderr } = await world.assertRefused([], /CONFINEMENT_BROKEN/, { env });
  assert.match(stderr, /keeper .*no seccomp filter is on/);
});

function withFile(target: string, source: string): string[] {
  const mounts: PrivateMount[] = [{ source, target }];
  return privateMounts(world, mounts);
}

/** A script that executes `program` with its own arguments, but for one and those that follow it. */
function withoutArgument(dropped: string, count: number, program: string): string {
  return `#!/bin/sh
left=$#
while [ $left -gt 0 ]; do
  if [ "$1" = "${dropped}" ]; then shift ${count}; left=$((left - ${count})); continue; fi
  set -- "$@" "$1"
  shift
  left=$((left - 1))
done
exec ${program} "$@"
`;
}
