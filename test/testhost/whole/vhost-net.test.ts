// SPDX-License-Identifier: Apache-2.0
// The frames of a pod's network card are moved by the host's kernel, in the name of a VMM without rights.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestHost } from "../host.ts";
import { nodeFacts, startTestHost } from "../support/session.ts";

const ROOT_ALONE = "root:root 600 character special file";
const MEBIBYTES = 4;
const NETWORK = `set -e
ip netns add pod
ip link add outside type veth peer name inside
ip link set inside netns pod
ip addr add 10.77.0.1/24 dev outside
ip link set outside up
ip -n pod addr add 10.77.0.2/24 dev inside
ip -n pod link set inside up
mkdir /run/served
head -c ${MEBIBYTES}M /dev/urandom >/run/served/file`;
const SERVER =
  "setsid python3 -m http.server --bind 10.77.0.1 --directory /run/served 8000 >/dev/null 2>&1 </dev/null &";

let host: TestHost;
let vmm = 0;
before(async () => {
  host = await startTestHost();
  await sh(NETWORK);
  await sh(SERVER);
  await sh("chown root:root /dev/vhost-net; chmod 0600 /dev/vhost-net");
  const pod = ["--network", "/run/netns/pod", "busybox", "sleep", "1000"];
  await host.output(["mukon", "run", "--detach", "--name", "net", ...pod]);
  const [{ sandbox }] = JSON.parse(await host.output(["mukon", "inspect", "net"]));
  vmm = sandbox.processes.vmm.pid;
});
after(() => host?.down());

async function sh(script: string): Promise<string> {
  return (await host.output(["sh", "-c", script])).trim();
}

/** Nanoseconds that the kernel's own threads for this VMM's cards have run (proc: schedstat). */
async function vhostTime(): Promise<number> {
  const script = `for one in /proc/${vmm}/task/*; do
    case "$(cat $one/comm)" in vhost-*) cut -d' ' -f1 $one/schedstat;; esac
  done`;
  return (await sh(script)).split("\n").reduce((sum, line) => sum + Number(line), 0);
}

test("a VMM has the device as a descriptor; its node is root's alone, and stays so", async () => {
  assert.match(await sh(`ls -l /proc/${vmm}/fd`), / \/dev\/vhost-net$/m);
  assert.equal(await nodeFacts(host, "/dev/vhost-net"), ROOT_ALONE);
});

test("what a pod receives is moved by the host's kernel", async () => {
  const before = await vhostTime();
  const fetched = await host.output([
    ...["mukon", "exec", "net", "sh", "-c"],
    "wget -qO- http://10.77.0.1:8000/file | sha256sum",
  ]);
  assert.equal(fetched.split(" ")[0], (await sh("sha256sum /run/served/file")).split(" ")[0]);
  const ran = (await vhostTime()) - before;
  assert.ok(ran > 0, "no thread of the kernel's has run for the card");
});

test("the kernel's threads are in the VMM's name, and have no more rights than it has", async () => {
  const reports = JSON.parse(await host.output(["mukon", "audit", "--json", "net"]));
  assert.equal(reports[0].isKept, true, JSON.stringify(reports[0], null, 2));
  await host.output(["mukon", "rm", "--force", "net"]);
});
