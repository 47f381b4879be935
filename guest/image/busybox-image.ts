// SPDX-License-Identifier: Apache-2.0
import { link } from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "../../src/linux/run.ts";
import { TreeWriter } from "./tree.ts";

const DIRECTORIES = ["dev", "etc", "home", "proc", "run", "sys", "usr", "var"];
const FILES = {
  "etc/passwd":
    "root:x:0:0:root:/root:/bin/sh\n" +
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n" +
    "nobody:x:65534:65534:nobody:/home:/bin/false\n",
  "etc/group": "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "etc/hostname": "",
  "etc/resolv.conf": "",
};

/** The config of the built-in image, as an OCI image config has it. */
export const BUSYBOX_CONFIG = {
  architecture: "amd64",
  os: "linux",
  config: {
    Cmd: ["sh"],
    Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    WorkingDir: "/",
  },
};

/** Lays out the built-in container image: Debian's static busybox under all its names. */
export async function writeBusyboxTree(rootPath: string, busyboxPath: string): Promise<void> {
  const tree = new TreeWriter(rootPath);
  await tree.directory(".");
  for (const name of DIRECTORIES) await tree.directory(name);
  for (const name of ["tmp", "var/tmp"]) await tree.directory(name, 0o1777);
  await tree.directory("root", 0o700);
  for (const [path, content] of Object.entries(FILES)) await tree.file(path, content);
  await tree.copy("bin/busybox", busyboxPath, 0o755);
  for (const name of ["sbin", "usr/bin", "usr/sbin"]) await tree.directory(name);
  const { stdout } = await run([busyboxPath, "--list-full"]);
  for (const path of appletPaths(stdout)) {
    await link(tree.pathOf("bin/busybox"), join(rootPath, path));
  }
}

/** Busybox's own answer where its applets belong; anything else in it is left out. */
export function appletPaths(text: string): string[] {
  const paths = text.split("\n").filter((line) => /^(usr\/)?s?bin\/[a-zA-Z0-9_.[-]+$/.test(line));
  return [...new Set(paths)].filter((path) => basename(path) !== "busybox").sort();
}
