// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fails } from "../config/helpers.ts";
import { CONFIG_V2, MAIN, Node } from "./node.ts";

const SHIM = "/opt/mukon/current/bin/containerd-shim-mukon-v2";

test("a node gets programs, guest, configuration, the unit, and containerd's entry", async (t) => {
  const node = new Node(t);
  const systemctl = node.systemctl();
  await node.install({ systemctl: systemctl.argv });
  const id = node.snapshot()["/opt/mukon/current"]?.slice(3) ?? "";
  assert.equal(node.read(SHIM), `#!/opt/mukon/${id}/bin/node --\nshim.cjs 1\n`);
  assert.equal(node.read(`/opt/mukon/${id}/bin/node`), "node 1");
  assert.equal(node.read("/var/lib/mukon/guest/current/manifest.json"), "guest a");
  assert.match(node.read("/etc/mukon/configuration.toml"), /rootless = true/);
  assert.match(
    node.read("/etc/systemd/system/mukon-gc.service"),
    /=\/opt\/mukon\/current\/bin\/mukon gc/,
  );
  const found = node.snapshot();
  assert.equal(
    found["/etc/systemd/system/multi-user.target.wants/mukon-gc.service"],
    "-> /etc/systemd/system/mukon-gc.service",
  );
  assert.equal(found["/usr/local/bin/mukon"], "-> /opt/mukon/current/bin/mukon");
  assert.ok(node.read(MAIN).startsWith(CONFIG_V2));
  assert.match(node.read(MAIN), new RegExp(`runtime_path = "${SHIM}"`));
  assert.deepEqual(systemctl.calls(), ["daemon-reload", "restart containerd"]);
});

test("every user may come to the programs, as the keeper and the VMM do, and none to the guest", async (t) => {
  const node = new Node(t);
  await node.install();
  const found = node.snapshot();
  for (const [path, content] of Object.entries(found)) {
    if (!path.startsWith("/opt/mukon/") || content.startsWith("->")) continue;
    assert.match(content, /^(755|644)\b/, path);
  }
  assert.equal(found["/var/lib/mukon/guest/a"], "700");
});

test("a second time changes nothing and restarts nothing", async (t) => {
  const node = new Node(t);
  await node.install();
  const before = node.snapshot();
  const systemctl = node.systemctl();
  await node.install({ systemctl: systemctl.argv });
  assert.deepEqual(node.snapshot(), before);
  assert.deepEqual(systemctl.calls(), []);
});

test("uninstalling leaves the node as it was before", async (t) => {
  const node = new Node(t);
  const before = node.snapshot();
  await node.install({ handlers: ["mukon", "kata-qemu"] });
  const systemctl = node.systemctl();
  await node.uninstall({ systemctl: systemctl.argv });
  assert.deepEqual(withoutEmpty(node.snapshot()), withoutEmpty(before));
  assert.deepEqual(systemctl.calls(), ["daemon-reload", "restart containerd"]);
  await node.uninstall({ systemctl: systemctl.argv });
  assert.equal(systemctl.calls().length, 2, "a second time there is nothing to do");
});

test("an upgrade keeps the build before it for pods that run, and no older one", async (t) => {
  const node = new Node(t);
  const builds: string[] = [];
  const systemctl = node.systemctl();
  for (const build of ["1", "2", "3"]) {
    node.writePayload(build, build === "3" ? "b" : "a");
    await node.install(build === "1" ? {} : { systemctl: systemctl.argv });
    builds.push(node.snapshot()["/opt/mukon/current"]?.slice(3) ?? "");
  }
  const there = readdirSync(join(node.directory, "opt/mukon")).sort();
  assert.deepEqual(there, ["current", builds[1], builds[2]].sort());
  assert.equal(node.read(SHIM).split("\n")[1], "shim.cjs 3");
  assert.equal(node.read("/var/lib/mukon/guest/current/manifest.json"), "guest b");
  assert.deepEqual(systemctl.calls(), [], "containerd's entry names no build");
  await node.uninstall();
  assert.deepEqual(withoutEmpty(node.snapshot()), withoutEmpty(new Node(t).snapshot()));
});

test("what the administrator changed or made stays, over an upgrade and an uninstallation", async (t) => {
  const node = new Node(t);
  node.write("/var/lib/mukon/guest/mine/manifest.json", "mine");
  node.link("/var/lib/mukon/guest/current", "mine");
  await node.install();
  node.write("/etc/mukon/configuration.toml", "# mine\n");
  node.write(MAIN, `${node.read(MAIN)}\n[debug]\n  level = "debug"\n`);
  node.writePayload("2", "b");
  await node.install();
  assert.equal(node.read("/etc/mukon/configuration.toml"), "# mine\n");
  assert.equal(node.read("/var/lib/mukon/guest/current/manifest.json"), "mine");
  assert.match(node.read(MAIN), /level = "debug"/);
  await node.uninstall();
  assert.equal(node.read("/etc/mukon/configuration.toml"), "# mine\n");
  assert.equal(node.read("/var/lib/mukon/guest/current/manifest.json"), "mine");
  assert.deepEqual(node.read(MAIN).match(/mukon|debug/g), ["debug", "debug"]);
});

test("killed at any moment, it can be installed again, and removed without a trace", async (t) => {
  const node = new Node(t);
  const before = node.snapshot();
  for (const delayMs of [350, 450, 550, 650, 800]) {
    node.writePayload(String(delayMs), "a", 20_000_000);
    const child = spawn(process.execPath, [
      ...["--import", "tsx", join(import.meta.dirname, "../../../src/node-install/main.ts")],
      ...["install", "--root", node.directory, "--payload", node.payload, "--no-restart"],
    ]);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await sleep(delayMs);
    child.kill("SIGKILL");
    await ended;
  }
  await node.install();
  assert.match(node.read(SHIM), /shim\.cjs 800/);
  await node.uninstall();
  assert.deepEqual(withoutEmpty(node.snapshot()), withoutEmpty(before));
});

test("what an interrupted copy left is completed or cleared away", async (t) => {
  const node = new Node(t);
  await node.install();
  const id = node.snapshot()["/opt/mukon/current"]?.slice(3) ?? "";
  node.writePayload("2", "b");
  node.write("/opt/mukon/0123456789abcdef.partial/lib/x", "half");
  node.write("/var/lib/mukon/guest/b.partial/manifest.json", "half");
  await node.install();
  const there = readdirSync(join(node.directory, "opt/mukon"));
  assert.equal(there.length, 3);
  assert.ok(there.includes(id));
  assert.equal(node.read("/var/lib/mukon/guest/current/manifest.json"), "guest b");
});

test("a node that lacks programs is told all of them, and stays as it is", async (t) => {
  const node = new Node(t);
  node.uninstallProgram("/usr/sbin/tc");
  node.uninstallProgram("/usr/libexec/virtiofsd");
  const before = node.snapshot();
  await assert.rejects(node.install(), fails("INSTALL_PROGRAMS_MISSING", "tc, virtiofsd"));
  assert.deepEqual(node.snapshot(), before);
});

test("where containerd has gone meanwhile, or another was added, all of ours goes all the same", async (t) => {
  const node = new Node(t);
  await node.install();
  node.uninstallProgram("/usr/bin/containerd");
  node.write("/var/lib/rancher/k3s/agent/etc/containerd/config.toml", "version = 2\n");
  await node.uninstall();
  assert.equal(node.read(MAIN), CONFIG_V2);
  assert.ok(!node.host.exists("/opt/mukon"));
});

test("nothing is removed under pods that run", async (t) => {
  const node = new Node(t);
  await node.install();
  node.write("/run/mukon/sandboxes/k8s.io..web/state.json", "{}");
  const before = node.snapshot();
  await assert.rejects(node.uninstall(), fails("INSTALL_IN_USE", "k8s.io..web"));
  assert.deepEqual(node.snapshot(), before);
});

test("absolute links of the node are followed inside of it", async (t) => {
  const node = new Node(t, { "/srv/containerd/config.toml": CONFIG_V2 });
  node.link("/etc/containerd", "/srv/containerd");
  await node.install();
  assert.match(node.read("/srv/containerd/config.toml"), /runtimes\.mukon\]/);
  node.link("/etc/mukon-loop", "/etc/mukon-loop");
  assert.throws(() => node.host.at("/etc/mukon-loop/x"), fails("INSTALL_PATH_INVALID"));
});

test("containerd that does not restart is an error which says where to look", async (t) => {
  const node = new Node(t);
  const { argv } = node.systemctl(1);
  await assert.rejects(
    node.install({ systemctl: argv }),
    fails("INSTALL_RESTART_FAILED", "containerd could not be restarted"),
  );
});

/** Directories that mkdir made on the way are no trace. */
function withoutEmpty(snapshot: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(snapshot).filter(([, content]) => content.length > 4));
}
