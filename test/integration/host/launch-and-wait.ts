// SPDX-License-Identifier: Apache-2.0
// Launches a sleeper with the uid given, prints its pid, and waits to be killed.
import { launchConfined } from "../../../src/host/launcher/launch.ts";

const id = Number(process.argv[2]);
const { pid } = await launchConfined({
  role: "sleeper",
  argv: ["/bin/sleep", "600"],
  uid: id,
  gid: id,
  groups: [],
  stdio: ["ignore", "ignore", "ignore"],
});
console.log(pid);
setInterval(() => {}, 60_000);
