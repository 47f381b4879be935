// SPDX-License-Identifier: Apache-2.0
// Launches sleepers with the uid given, in a jail, one after the other, prints their pids, and waits to
// be killed.
import { programJail } from "../../../src/host/jail/program-jail.ts";
import { launchConfined } from "../../../src/host/launcher/launch.ts";

const id = Number(process.argv[2]);
const jail = await programJail("/bin/sleep", []);
for (let count = Number(process.argv[3]); count > 0; count -= 1) {
  const { pid } = await launchConfined({
    role: "sleeper",
    argv: ["/bin/sleep", "600"],
    uid: id,
    gid: id,
    groups: [],
    stdio: ["ignore", "ignore", "ignore"],
    jail,
  });
  console.log(pid);
}
setInterval(() => {}, 60_000);
