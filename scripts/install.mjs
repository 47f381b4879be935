// SPDX-License-Identifier: Apache-2.0
// Installs the bundles of dist/ for all users:
//   PREFIX/lib/mukon/*.cjs, koffi.node    the programs
//   PREFIX/bin/{mukon,containerd-shim-mukon-v2}  links to them
// and, where systemd runs, the unit that cleans up at boot. /etc/mukon/configuration.toml is written
// only when there is none.

import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const prefix = process.env.MUKON_PREFIX ?? "/usr/local";
const library = join(prefix, "lib", "mukon");
const commands = { mukon: "mukon.cjs", "containerd-shim-mukon-v2": "shim.cjs" };

mkdirSync(library, { recursive: true, mode: 0o755 });
mkdirSync(join(prefix, "bin"), { recursive: true, mode: 0o755 });
for (const name of readdirSync(join(root, "dist"))) {
  // It installs on the nodes of Kubernetes, out of an image of its own.
  if (name !== "node-install.cjs") installFile(name);
}
for (const [command, program] of Object.entries(commands)) {
  const link = join(prefix, "bin", command);
  rmSync(link, { force: true });
  symlinkSync(join(library, program), link);
}
installConfiguration();
installBootCleanUp();

/** Under a new name first: a program that runs keeps its old file. */
function installFile(name) {
  const target = join(library, name);
  const executable = Object.values(commands).includes(name);
  const temporary = `${target}.new`;
  if (executable) writeFileSync(temporary, withInterpreter(name), { mode: 0o755 });
  else copyFileSync(join(root, "dist", name), temporary);
  renameSync(temporary, target);
}

/** Service managers start shims with a bare PATH, so the interpreter is named by its full path. */
function withInterpreter(name) {
  // Without "--" Node 20 takes an --env-file of the command line for its own.
  return `#!${process.execPath} --\n${readFileSync(join(root, "dist", name), "utf8")}`;
}

function installConfiguration() {
  const target =
    process.env.MUKON_PREFIX === undefined ? "/etc/mukon" : join(prefix, "etc", "mukon");
  const file = join(target, "configuration.toml");
  if (existsSync(file)) return;
  mkdirSync(target, { recursive: true, mode: 0o755 });
  copyFileSync(join(root, "config", "configuration.toml"), file);
}

/** Pods of before a crash leave users in /etc/passwd; only a clean-up at boot finds them by itself. */
function installBootCleanUp() {
  if (process.env.MUKON_PREFIX !== undefined || !existsSync("/run/systemd/system")) return;
  const unit = "mukon-gc.service";
  const source = join(root, "deploy", unit);
  copyFileSync(source, join("/etc/systemd/system", unit));
  spawnSync("systemctl", ["enable", "--quiet", unit], { stdio: "inherit" });
}
