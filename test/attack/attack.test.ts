// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { runtimeDirectoryOf } from "../../src/host/runtime-dir/runtime-dir.ts";
import { type MukonOptions, mukon } from "../support/mukon.ts";
import { type Pod, PodWorld, type Settings } from "../support/pod-world.ts";
import { cannotUserNetwork } from "../support/user-network-world.ts";
import { attackerScript, koffiLibrary } from "./bundle.ts";
import { broken, readReport, withTable } from "./table.ts";
import type { Role, Targets } from "./types.ts";

// An attacker takes the place of each process that the guest can reach, started exactly as that one is,
// beside an honest pod. Nothing that it tries may work, and nothing of it may stay.

const PAGE = join(import.meta.dirname, "..", "..", "docs", "security.md");

let world: PodWorld;
let honest: Pod;
let targets: Targets;
const servers: Server[] = [];

before(async () => {
  world = new PodWorld();
  honest = await world.start("honest", ["busybox", "sleep", "1000"]);
  world.keepWhatIsThere();
  const abstractSocket = `mukon-attack-${process.pid}`;
  const tcpPort = await listen({ host: "0.0.0.0", port: 0 });
  await listen({ path: `\0${abstractSocket}` });
  const { uid } = honest.identity.vmm;
  targets = {
    pids: [honest.shimPid, honest.vmmPid, honest.keeperPid, process.pid],
    otherUid: uid,
    paths: [
      ...["/etc/passwd", "/etc/shadow", "/root", "/home", "/var", "/sys", "/bin/sh", "/dev/shm"],
      ...["sandboxes", "bundles", "identities", "s"].map((name) => join(world.runRoot, name)),
      runtimeDirectoryOf(uid),
    ],
    suidPrograms: ["/bin/su", "/usr/bin/passwd", "/usr/bin/sudo", "/bin/mount"],
    ...{ abstractSocket, tcpPort, hostAddress: hostAddress() },
  };
});
after(async () => {
  for (const server of servers) server.close();
  await world.end();
});

async function listen(where: { host: string; port: number } | { path: string }): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  servers.push(server);
  await new Promise<void>((done, fail) => server.once("error", fail).listen(where, done));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Another one of its loopback, where it has no network. */
function hostAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((own) => own ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.2";
}

/** A program that everybody may run; koffi's library beside it, and named in it. */
async function program(role: Role): Promise<string> {
  const path = world.executable(`attacker-${role}`, "");
  const library = join(dirname(path), "koffi.node");
  copyFileSync(koffiLibrary(), library);
  chmodSync(library, 0o755);
  const script = await attackerScript(role, targets);
  return world.executable(`attacker-${role}`, `#!${process.execPath}\n// ${library}\n${script}`);
}

async function outcome(
  settings: Settings,
  args: readonly string[] = [],
  options: MukonOptions = {},
): Promise<string> {
  world.configure(settings);
  try {
    const run = ["run", "--rm", ...args, "busybox", "true"];
    const { code, stdout, stderr } = await mukon(run, options);
    assert.equal(code, 125, `${stdout}${stderr}`);
    return stderr;
  } finally {
    world.configure({});
  }
}

const ROLES: Record<Role, () => Promise<string>> = {
  vmm: async () => {
    const path = await program("vmm");
    const qemu = { path, accelerator: "tcg" };
    // There is no guest that could answer.
    return outcome({ "hypervisor.qemu": qemu, "agent.kata": { dial_timeout: 20 } });
  },
  keeper: async () => {
    const source = await attackerScript("keeper", targets);
    return outcome({}, [], { env: { MUKON_PROGRAMS: world.programs({ "keeper.cjs": source }) } });
  },
  virtiofsd: async () => {
    const daemon = await program("virtiofsd");
    const volume = ["-v", `${world.directory}:/data`];
    return outcome({ "hypervisor.qemu": { virtio_fs_daemon: daemon } }, volume);
  },
  passt: async () => {
    const source = await attackerScript("passt", targets);
    const env = { MUKON_PROGRAMS: world.programs({ "passt-filter.cjs": source }) };
    return outcome({}, ["--network", "user"], { env });
  },
};

for (const [role, run] of Object.entries(ROLES) as [Role, () => Promise<string>][]) {
  test(`whoever captures the ${role} gains nothing by it, and leaves nothing behind`, {
    skip: role === "passt" && cannotUserNetwork,
  }, async () => {
    const said = await run();
    const answers = readReport(said);
    assert.ok(answers[0] !== "NOT REPORTED", `it did not report: ${said}`);
    assert.deepEqual(broken(role, answers), []);
    await world.assertNothingLeft();
    const { stdout } = await mukon(["exec", honest.id, "echo", "still here"]);
    assert.equal(stdout, "still here\n", "the honest pod was hurt");
  });
}

test("docs/security.md has a row for each attempt", () => {
  const page = readFileSync(PAGE, "utf8");
  const wanted = withTable(page);
  assert.ok(wanted !== undefined, "the page has no place for the table");
  if (process.env.MUKON_UPDATE_DOCS !== undefined) writeFileSync(PAGE, wanted);
  else assert.equal(page, wanted, "run this test with MUKON_UPDATE_DOCS=1");
});
