// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "smol-toml";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import {
  runtimeBlock,
  runtimeEntry,
  withBlock,
  withoutBlock,
} from "../../../src/node-install/containerd/entry.ts";
import { fails } from "../config/helpers.ts";
import { CONFIG_V2, MAIN, Node } from "./node.ts";

const K3S = "/var/lib/rancher/k3s/agent/etc/containerd";
const DROP_IN = "/etc/containerd/conf.d/mukon.toml";
const ENTRY_V3 = `[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.mukon]`;

/** The one way that all refusals have: an error, and a node that has not changed. */
async function assertRefused(node: Node, code: string, ...texts: string[]): Promise<void> {
  const before = node.snapshot();
  await assert.rejects(node.install(), fails(code, ...texts));
  assert.deepEqual(node.snapshot(), before);
}

test("containerd itself reads both runtimes, and its other settings as before", async (t) => {
  if (!existsSync("/usr/bin/containerd")) return t.skip("containerd is not installed");
  const node = new Node(t);
  await node.install({ handlers: ["mukon", "kata-qemu"] });
  const argv = ["--config", `${node.directory}${MAIN}`, "config", "dump"];
  const { stdout, stderr } = spawnSync("/usr/bin/containerd", argv, { encoding: "utf8" });
  assert.match(stdout, /sandbox_image = "example\/pause:1"/, stderr);
  assert.match(stdout, /containerd\.runtimes\.runc\]/);
  const { plugins } = parse(stdout) as {
    plugins: Record<string, { containerd: { runtimes: Record<string, Record<string, unknown>> } }>;
  };
  const { runtimes } = plugins["io.containerd.grpc.v1.cri"]?.containerd ?? { runtimes: {} };
  for (const name of ["mukon", "kata-qemu"]) {
    assert.equal(runtimes[name]?.runtime_type, "io.containerd.mukon.v2", name);
    assert.equal(runtimes[name]?.runtime_path, "/opt/mukon/current/bin/containerd-shim-mukon-v2");
    assert.equal(runtimes[name]?.privileged_without_host_devices, true);
    assert.deepEqual(runtimes[name]?.pod_annotations, ["io.katacontainers.*"]);
  }
});

test("where a runtime is named already, containerd's default is not entered for it", async (t) => {
  const crun =
    '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]\nruntime_type = "x"\n';
  const node = new Node(t, { [MAIN]: `${CONFIG_V2}${crun}` });
  await node.install();
  assert.doesNotMatch(node.read(MAIN), /runtimes\.runc\]/);
});

test("where there is no configuration, one is made, and removed again", async (t) => {
  const node = new Node(t, {});
  await node.install();
  assert.equal(parse(node.read(MAIN)).version, 2);
  await node.uninstall();
  assert.ok(!node.host.exists(MAIN));
});

test("version 3: the runtime's plugin, with the pause container through the Task API", async (t) => {
  const node = new Node(t, { [MAIN]: "version = 3\n" });
  await node.install();
  assert.ok(node.read(MAIN).includes(ENTRY_V3));
  assert.match(node.read(MAIN), /sandboxer = "podsandbox"/);
});

test("version 3 that imports conf.d: a file of its own there, and the main file as it was", async (t) => {
  const main = 'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n';
  const node = new Node(t, { [MAIN]: main });
  await node.install();
  assert.equal(node.read(MAIN), main);
  assert.equal(parse(node.read(DROP_IN)).version, 3);
  assert.ok(node.read(DROP_IN).includes(ENTRY_V3));
  await node.uninstall();
  assert.ok(!node.host.exists(DROP_IN));
});

test("a configuration that moves to version 3 gets its entry renewed", async (t) => {
  const node = new Node(t);
  await node.install();
  node.write(MAIN, node.read(MAIN).replace("version = 2", "version = 3"));
  await node.install();
  assert.ok(node.read(MAIN).includes(ENTRY_V3));
  assert.ok(!node.read(MAIN).includes(`"io.containerd.grpc.v1.cri".containerd.runtimes.mukon`));
});

test("version 2 that imports settings of CRI is refused: they would replace the entry", async (t) => {
  const main = `imports = ["conf.d/*.toml"]\n${CONFIG_V2}`;
  const other = 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nenable_selinux = true\n';
  const node = new Node(t, { [MAIN]: main, "/etc/containerd/conf.d/10-other.toml": other });
  await assertRefused(node, "INSTALL_CONTAINERD_CONFIG", "conf.d/10-other.toml", "replace");
  node.write("/etc/containerd/conf.d/10-other.toml", "version = 2\n[debug]\nlevel = 'info'\n");
  await node.install();
  assert.match(node.read(MAIN), /runtimes\.mukon\]/);
});

const REFUSED: Readonly<Record<string, string>> = {
  "no version, which means 1": '[plugins.cri]\nsandbox_image = "x"\n',
  "version 1": "version = 1\n",
  "a version of the future": "version = 4\n",
  "CRI switched off": 'version = 2\ndisabled_plugins = ["cri"]\n',
  "no TOML": "version = 2\n[plugins\n",
};
for (const [what, text] of Object.entries(REFUSED)) {
  test(`refused, with the node as it was: ${what}`, async (t) => {
    await assertRefused(new Node(t, { [MAIN]: text }), "INSTALL_CONTAINERD_CONFIG", MAIN);
  });
}

test("a runtime of that name which is another one is refused, the same one left to its owner", async (t) => {
  const name = '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.mukon]';
  const kata = `${CONFIG_V2}${name}\n  runtime_type = "io.containerd.kata.v2"\n`;
  await assertRefused(new Node(t, { [MAIN]: kata }), "INSTALL_HANDLER_TAKEN", '"mukon"');
  const block = runtimeBlock(2, { mukon: runtimeEntry(2) })
    .split("\n")
    .slice(1, -2)
    .join("\n");
  const byHand = `${CONFIG_V2}${block}\n`;
  const node = new Node(t, { [MAIN]: byHand });
  await node.install();
  assert.equal(node.read(MAIN), byHand);
  await node.uninstall();
  assert.equal(node.read(MAIN), byHand);
});

test("a block that somebody damaged is not guessed at", async (t) => {
  const node = new Node(t);
  await node.install();
  node.write(MAIN, node.read(MAIN).replace("# mukon: end.\n", ""));
  await assertRefused(node, "INSTALL_CONTAINERD_CONFIG", "one of each");
  await assert.rejects(node.uninstall(), fails("INSTALL_CONTAINERD_CONFIG"));
});

for (const [version, name] of [
  [2, "config.toml.tmpl"],
  [3, "config-v3.toml.tmpl"],
] as const) {
  test(`k3s with version ${version}: its template ${name}, with what k3s says in it`, async (t) => {
    const plugin = version === 2 ? "io.containerd.grpc.v1.cri" : "io.containerd.cri.v1.runtime";
    const runc = `[plugins."${plugin}".containerd.runtimes.runc]\n  runtime_type = "x"\n`;
    const generated = `version = ${version}\n${runc}`;
    const node = new Node(t, { [`${K3S}/config.toml`]: generated });
    node.uninstallProgram("/usr/bin/containerd");
    node.write("/etc/systemd/system/k3s-agent.service", "");
    const { argv, calls } = node.systemctl();
    await node.install({ systemctl: argv });
    const text = node.read(`${K3S}/${name}`);
    assert.match(text, /^# .*\n\{\{ template "base" \. \}\}\n/);
    assert.match(text, /runtimes\.mukon\]/);
    assert.doesNotMatch(text, /runtimes\.runc\]/, "k3s has one already");
    assert.equal(node.read(`${K3S}/config.toml`), generated);
    assert.deepEqual(calls(), ["daemon-reload", "restart k3s-agent"]);
    // What k3s makes of the template at its next start has the block too.
    node.write(
      `${K3S}/config.toml`,
      withBlock(generated, text.slice(text.indexOf("# mukon: begin"))),
    );
    await node.install({ systemctl: argv });
    assert.equal(node.read(`${K3S}/${name}`), text);
    assert.equal(calls().length, 2);
    await node.uninstall();
    assert.ok(!node.host.exists(`${K3S}/${name}`));
  });
}

test("an administrator's template of k3s keeps all that is in it", async (t) => {
  const template = '{{ template "base" . }}\n[debug]\n  level = "warn"\n';
  const node = new Node(t, {
    [`${K3S}/config.toml`]: "version = 2\n",
    [`${K3S}/config.toml.tmpl`]: template,
  });
  await node.install({ flavour: "k3s" });
  assert.ok(node.read(`${K3S}/config.toml.tmpl`).startsWith(template));
  await node.uninstall({ flavour: "k3s" });
  assert.equal(node.read(`${K3S}/config.toml.tmpl`), template);
});

test("no containerd, several of them, and k3s before its first start are told apart", async (t) => {
  const none = new Node(t, {});
  none.uninstallProgram("/usr/bin/containerd");
  await assertRefused(none, "INSTALL_CONTAINERD_MISSING", MAIN);
  const several = new Node(t, { [MAIN]: CONFIG_V2, [`${K3S}/config.toml`]: "version = 2\n" });
  await assertRefused(several, "INSTALL_CONTAINERD_MISSING", "containerd and of k3s");
  await assert.rejects(
    new Node(t).install({ flavour: "rke2" }),
    fails("INSTALL_CONTAINERD_MISSING", "rke2 has not started"),
  );
});

test("whatever was in a file is in it again without the block", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      if (text.includes("# mukon:")) return;
      const restored = withoutBlock(
        withBlock(text, runtimeBlock(2, { mukon: runtimeEntry(2) })),
        "x",
      );
      assert.equal(restored.trimEnd(), text.trimEnd());
      if (text.endsWith("\n") || text === "") assert.equal(restored, text);
    }),
  );
});

test("any configuration is either refused or says what it said before, and mukon", async (t) => {
  const value = fc.oneof(
    fc.boolean(),
    fc.integer(),
    fc.string().map((one) => JSON.stringify(one)),
  );
  const line = fc.tuple(fc.constantFrom("a", "imports", "plugins.x", "root"), value);
  const node = new Node(t);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(1, 2, 3, 4), fc.array(line), async (version, lines) => {
      const text = [
        `version = ${version}`,
        ...lines.map(([key, one]) => `${key} = ${one}`),
        "",
      ].join("\n");
      node.write(MAIN, text);
      try {
        await node.install();
      } catch (error) {
        assert.ok(error instanceof MukonError, String(error));
        return assert.equal(node.read(MAIN), text);
      }
      const { plugins, ...rest } = parse(node.read(MAIN));
      const { plugins: _, ...before } = parse(text);
      assert.deepEqual(rest, before);
      assert.match(JSON.stringify(plugins), /io\.containerd\.mukon\.v2/);
    }),
    { numRuns: 60 },
  );
});
