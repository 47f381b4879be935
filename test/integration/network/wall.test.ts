// SPDX-License-Identifier: Apache-2.0
// What can a program reach that is in the host's network, but behind the wall that passt is behind?
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { checkUserNetwork } from "../../../src/host/check/user-network.ts";
import { Journal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import type { PublishedPort } from "../../../src/host/network/user/published-port.ts";
import { buildWall, deviationsOfWall, type Wall } from "../../../src/host/network/user/wall.ts";
import { sandboxesDirectory } from "../../../src/linux/paths.ts";
import type { NetworkWorld } from "../../support/network-world.ts";
import { PodWorld } from "../../support/pod-world.ts";
import {
  cannotUserNetwork,
  HOST,
  makeHostAndOutside,
  OUTSIDE,
  TCP_PORT,
  UDP_PORT,
} from "../../support/user-network-world.ts";

const skip = cannotUserNetwork;
const PUBLISHED: PublishedPort = {
  ...{ hostAddress: "127.0.0.1", hostPort: 4400, guestPort: 80, protocol: "tcp" },
};
const KEY = "wall-test";
const SCRIPT = readFileSync(join(import.meta.dirname, "behind-wall.py"), "utf8");
const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const RIGHTLESS = [...NOBODY, "--nnp", "--inh-caps=-all", "--bounding-set=-all", "--"];
/** What they may do, and what they may do in the wall's way: that there is a port of their own. */
const ALLOWED = [
  ...["TCP to outside", "UDP to outside", "UDP, connected, to outside"],
  ...["TCP to outside, IPv6", "UDP to outside, IPv6", "published port, from here"],
];
/** What a program without rights may not do anyway, or not in a network like this one. */
const NEVER = ["raw socket", "multicast"];
/** Not every kernel has it. */
const PERHAPS = "MPTCP to own address";

let world: PodWorld;
let network: NetworkWorld;
let wall: Wall;
before(async () => {
  if (skip) return;
  world = new PodWorld();
  ({ network } = await makeHostAndOutside());
  wall = buildWall(KEY, { journal: Journal.open(KEY), ports: [PUBLISHED] });
});
after(async () => {
  if (skip) return;
  await tearDown(KEY);
  assert.equal(existsSync(wall.cgroup), false, "the cgroup is left");
  await network.end();
  await world.end();
  rmSync(world.directory, { recursive: true, force: true });
});

/** Runs a command in the host's network, behind the wall or not. */
async function attempts(isWalled: boolean): Promise<Record<string, string>> {
  const addresses = [HOST.ipv4, HOST.ipv6, OUTSIDE.ipv4, OUTSIDE.ipv6];
  const words = [TCP_PORT, UDP_PORT, ...addresses, PUBLISHED.hostPort].map(String);
  const attack = [...RIGHTLESS, "/usr/bin/python3", "-", ...words];
  return JSON.parse(
    await network.inHost(behind(isWalled, attack), { input: SCRIPT, timeoutMs: 300_000 }),
  );
}

function behind(isWalled: boolean, argv: readonly string[]): string[] {
  if (!isWalled) return [...argv];
  const enter = 'echo $$ > "$0" && exec "$@"';
  return ["sh", "-c", enter, join(wall.cgroup, "cgroup.procs"), ...argv];
}

test("mukon check finds passt, and builds a wall to see that it can; nothing is left of it", {
  skip,
}, async () => {
  const sandboxes = readdirSync(sandboxesDirectory());
  const groups = readdirSync(dirname(wall.cgroup));
  const { status, message } = await checkUserNetwork();
  assert.equal(status, "ok", message);
  assert.match(message, /^passt \d.*walled off/);
  assert.deepEqual(readdirSync(sandboxesDirectory()), sandboxes);
  assert.deepEqual(readdirSync(dirname(wall.cgroup)), groups);
});

test("without the wall, the attempts reach the host: they are good", { skip }, async () => {
  const outcomes = await attempts(false);
  const failed = Object.keys(outcomes)
    .filter((name) => name !== PERHAPS)
    .filter((name) => outcomes[name] !== "done");
  assert.deepEqual(failed.sort(), [...NEVER].sort(), JSON.stringify(outcomes));
});

test("behind it, only what is outside is reached", { skip }, async () => {
  const outcomes = await attempts(true);
  const done = Object.keys(outcomes).filter((name) => outcomes[name] === "done");
  assert.deepEqual(done.sort(), [...ALLOWED].sort(), JSON.stringify(outcomes));
  assert.equal(outcomes["another port for UDP"], "another port");
});

test("behind it, there are no devices but those of a jail", { skip }, async () => {
  const open = (isWalled: boolean, path: string): Promise<string> =>
    network.inHost(
      behind(isWalled, ["sh", "-c", '(: <"$0") 2>/dev/null && echo opened; true', path]),
    );
  assert.equal(await open(true, "/dev/null"), "opened\n");
  assert.equal(await open(false, "/dev/zero"), "opened\n");
  assert.equal(await open(true, "/dev/zero"), "");
});

const SERVE = `
import socket
s = socket.socket(); s.bind(("127.0.0.1", ${PUBLISHED.hostPort})); s.listen()
print("listening", flush=True)
c, _ = s.accept(); c.recv(1); c.sendall(b"from behind the wall"); c.close()`;
const ASK = `
import socket
s = socket.create_connection(("127.0.0.1", ${PUBLISHED.hostPort}), 5); s.sendall(b"x")
print(s.recv(100).decode())`;

test("who listens behind it at a published port is reached from the host", { skip }, async () => {
  const serving = network.inHost(behind(true, [...RIGHTLESS, "/usr/bin/python3", "-c", SERVE]));
  const ask = async (tries: number): Promise<string> => {
    try {
      return await network.inHost(["/usr/bin/python3", "-c", ASK]);
    } catch (error) {
      if (tries === 0) throw error;
      await new Promise((done) => setTimeout(done, 200));
      return await ask(tries - 1);
    }
  };
  assert.equal((await ask(50)).trim(), "from behind the wall");
  await serving;
});

test("a process outside of it, or one whose wall has gone, is seen to be", { skip }, () => {
  assert.match(deviationsOfWall(wall, process.pid).join(), /it is not behind its wall/);
  const gone = { cgroup: `${wall.cgroup}.gone` };
  assert.notDeepEqual(deviationsOfWall(gone, process.pid), []);
});
