// SPDX-License-Identifier: Apache-2.0
// Acquires what a pod does, as a shim would, and says after each step which one it was. Stops after
// the step that is named, and waits to be killed.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { acquireIdentity } from "../../../src/host/identity/acquire.ts";
import { Journal } from "../../../src/host/journal/journal.ts";
import { launchConfined } from "../../../src/host/launcher/launch.ts";
import { createRuntimeDirectory } from "../../../src/host/runtime-dir/runtime-dir.ts";
import { shimSocketsDirectory } from "../../../src/linux/paths.ts";
import { readStartTime } from "../../../src/linux/process-status.ts";
import { run } from "../../../src/linux/run.ts";
import { testIdentities } from "./support.ts";

const [key = "", lastStep = "", backend = "useradd"] = process.argv.slice(2);

async function reached(step: string): Promise<void> {
  console.log(step);
  if (step !== lastStep) return;
  setInterval(() => {}, 60_000);
  await new Promise(() => {});
}

await reached("nothing");
const journal = Journal.open(key);
await reached("journal");

mkdirSync(shimSocketsDirectory(), { recursive: true });
const socket = join(shimSocketsDirectory(), key);
journal.append({ type: "socket", path: socket });
await new Promise<void>((done) => createServer().listen(socket, done));
await reached("socket");

const config = testIdentities(backend === "useradd" ? "useradd" : "auto");
const identity = await acquireIdentity({ config, journal });
await reached("identity");

const directory = await createRuntimeDirectory(identity, journal);
writeFileSync(join(directory, "file"), "");
await reached("directory");

const mounted = join(journal.directory, "mounted");
mkdirSync(mounted);
journal.append({ type: "mount", path: mounted });
await run(["mount", "-t", "tmpfs", "mukon-test", mounted]);
writeFileSync(join(mounted, "file"), "");
await reached("mount");

for (const role of ["vmm", "keeper"] as const) {
  const { pid, startTime } = await launchConfined({
    role,
    argv: ["/bin/sleep", "600"],
    uid: identity[role].uid,
    gid: identity[role].gid,
    groups: [],
    stdio: ["ignore", "ignore", "ignore"],
  });
  journal.append({ type: "process", role, pid, startTime: Number(startTime) });
}
await reached("processes");

// Dies with nobody, and is known by nothing but its journal entry.
const daemon = spawn("/bin/sleep", ["600"], { detached: true, stdio: "ignore" });
const daemonPid = daemon.pid ?? 0;
const startTime = Number(readStartTime(daemonPid));
journal.append({ type: "process", role: "virtiofsd", pid: daemonPid, startTime });
// Has a uid of the pod, and is in no journal: as if a captured program had forked.
spawn("setpriv", ["--reuid", String(identity.vmm.uid), "--", "/bin/sleep", "600"], {
  detached: true,
  stdio: "ignore",
});
await reached("daemons");
await reached("end");
