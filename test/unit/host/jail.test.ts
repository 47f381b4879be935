// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { outermost } from "../../../src/host/jail/build-root.ts";
import { readExecutable } from "../../../src/host/jail/executable.ts";
import { deviationsOfRoot, type SeenRoot } from "../../../src/host/jail/inspect-root.ts";
import { parseLibraries } from "../../../src/host/jail/program-files.ts";

const directory = mkdtempSync(join(tmpdir(), "mukon-jail-"));
after(() => rmSync(directory, { recursive: true }));

test("of an ELF program the loader is found, of a script all that it names", () => {
  const elf = readExecutable(process.execPath);
  assert.ok(elf.kind === "elf" && elf.loader?.startsWith("/"));
  const script = join(directory, "script");
  writeFileSync(script, '#!/bin/sh\nexec /opt/q/ld.so --library-path=/opt/q/lib $X/no "$@"\n');
  const found = readExecutable(script);
  assert.deepEqual(found, { kind: "script", paths: ["/bin/sh", "/opt/q/ld.so", "/opt/q/lib"] });
  writeFileSync(script, "neither");
  assert.deepEqual(readExecutable(script), { kind: "other" });
});

test("libraries that were not found are left out", () => {
  const text =
    "\tlinux-vdso.so.1 (0x00007f00)\n\tlibm.so.6 => /lib/libm.so.6 (0x00007f01)\n" +
    "\tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
  assert.deepEqual(parseLibraries(text), ["/lib/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]);
});

test("what is below a directory that is shown is not shown again", () => {
  assert.deepEqual(outermost(["/a/b", "/a/b/c/d", "/a/bc", "/a/b"]), ["/a/b", "/a/bc"]);
});

test("a root that is not a jail's is noticed, whatever differs", () => {
  const jail = { paths: ["/bin/sh"], devices: ["/dev/null"] };
  const mount = (mountPoint: string, options: string[], fileSystem = "tmpfs") => {
    return { mountPoint, fileSystem, source: "x", options, superOptions: [] };
  };
  const strict = ["ro", "nosuid", "nodev"];
  const good = [
    mount("/", strict),
    mount("/bin/sh", strict, "ext4"),
    mount("/dev/null", ["ro", "nosuid"], "devtmpfs"),
    { ...mount("/proc", strict, "proc"), superOptions: ["ro", "subset=pid"] },
  ];
  const seen = (change: { root?: string; mounts?: typeof good; outside?: string[] }) => {
    return { root: "/jail", mounts: good, outside: ["jail"], ...change };
  };
  assert.deepEqual(deviationsOfRoot(seen({}), jail), []);
  const broken: [SeenRoot | undefined, RegExp][] = [
    [undefined, /cannot be read/],
    [seen({ root: "/" }), /not a jail's/],
    [seen({ outside: ["etc", "home", "jail"] }), /etc, home is beside/],
    [seen({ mounts: [mount("/", strict, "ext4"), ...good] }), /not a jail's/],
    [seen({ mounts: [mount("/", strict, "ext4")] }), /not a jail's/],
    [seen({ mounts: [...good, mount("/etc", strict)] }), /sees \/etc/],
    [seen({ mounts: [...good, mount("/bin/sh", ["rw", ...strict.slice(1)])] }), /read-only/],
    [seen({ mounts: [...good, mount("/bin/sh", ["ro", "nodev"])] }), /not nosuid/],
    [seen({ mounts: [...good, mount("/bin/sh", ["ro", "nosuid"])] }), /not nodev/],
    [seen({ mounts: [...good, mount("/proc", strict, "proc")] }), /more than processes/],
    [seen({ mounts: good.slice(0, 3) }), /no .proc/],
  ];
  for (const [seen, pattern] of broken) {
    assert.match(deviationsOfRoot(seen, jail).join("; "), pattern);
  }
});
