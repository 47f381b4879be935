// SPDX-License-Identifier: Apache-2.0
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { HostRoot } from "../../../src/node-install/host-root.ts";
import { type InstallOptions, install, uninstall } from "../../../src/node-install/install.ts";

export const MAIN = "/etc/containerd/config.toml";
export const CONFIG_V2 = `version = 2

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "example/pause:1"
`;

const PROGRAMS = [
  ...["qemu-system-x86_64", "setpriv", "unshare", "prlimit", "nsenter", "containerd"],
].map((name) => `/usr/bin/${name}`);
const ADMIN_PROGRAMS = ["useradd", "ip", "tc", "mkfs.ext4"].map((name) => `/usr/sbin/${name}`);

/** A directory that looks like the file system of a node, and what is to be installed on it. */
export class Node {
  readonly directory: string;
  readonly host: HostRoot;
  readonly payload: string;
  readonly said: string[] = [];

  constructor(test: TestContext, files: Readonly<Record<string, string>> = { [MAIN]: CONFIG_V2 }) {
    const directory = mkdtempSync(join(tmpdir(), "mukon-node-"));
    test.after(() => rmSync(directory, { recursive: true, force: true }));
    this.directory = join(directory, "root");
    this.payload = join(directory, "payload");
    this.host = new HostRoot(this.directory);
    for (const path of [...PROGRAMS, ...ADMIN_PROGRAMS, "/usr/libexec/virtiofsd"]) {
      this.write(path, "program");
    }
    mkdirSync(join(this.directory, "usr/local/bin"), { recursive: true });
    mkdirSync(join(this.directory, "etc/systemd/system/multi-user.target.wants"), {
      recursive: true,
    });
    for (const path of ["opt", "run", "var/lib"])
      mkdirSync(join(this.directory, path), { recursive: true });
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    this.writePayload("1", "a");
  }

  /** The payload as another build of mukon has it. */
  writePayload(build: string, guest: string, padding = 0): void {
    rmSync(this.payload, { recursive: true, force: true });
    const files: Record<string, string> = {
      "bin/node": `node ${build}${"x".repeat(padding)}`,
      "configuration.toml": "[hypervisor.qemu]\nrootless = true\n",
      "mukon-gc.service": "[Service]\nExecStart=/usr/local/bin/mukon gc\n",
      [`guest/${guest}/manifest.json`]: `guest ${guest}`,
    };
    const programs = ["mukon.cjs", "shim.cjs", "shim-daemon.cjs", "keeper.cjs"];
    for (const name of [...programs, "passt-filter.cjs", "koffi.node"]) {
      files[`lib/mukon/${name}`] = `${name} ${build}\n`;
    }
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.payload, name)), { recursive: true });
      writeFileSync(join(this.payload, name), text);
    }
    chmodSync(join(this.payload, "bin/node"), 0o755);
    symlinkSync(guest, join(this.payload, "guest/current"));
  }

  async install(options: Partial<InstallOptions> = {}): Promise<void> {
    await install({ ...this.#common(), payload: this.payload, handlers: ["mukon"], ...options });
  }

  async uninstall(options: Partial<InstallOptions> & { waitMs?: number } = {}): Promise<void> {
    await uninstall({ ...this.#common(), ...options });
  }

  write(path: string, text: string): void {
    const target = join(this.directory, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }

  uninstallProgram(path: string): void {
    rmSync(join(this.directory, path));
  }

  read(path: string): string {
    return readFileSync(join(this.directory, path), "utf8");
  }

  link(path: string, target: string): void {
    mkdirSync(dirname(join(this.directory, path)), { recursive: true });
    symlinkSync(target, join(this.directory, path));
  }

  /** Every path, with what it is and says: two of them are equal when the node has not changed. */
  snapshot(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const entry of readdirSync(this.directory, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const mode = (lstatSync(path).mode & 0o7777).toString(8);
      const content = entry.isSymbolicLink()
        ? `-> ${readlinkSync(path)}`
        : entry.isFile()
          ? `${mode} ${readFileSync(path, "utf8").slice(0, 2000)}`
          : mode;
      found[path.slice(this.directory.length)] = content;
    }
    return found;
  }

  /** A program in place of systemctl, and what it was called with. */
  systemctl(code = 0): { argv: string[]; calls: () => string[] } {
    const log = join(dirname(this.directory), "systemctl.log");
    const program = join(dirname(this.directory), "systemctl");
    writeFileSync(program, `#!/bin/sh\necho "$*" >>${log}\nexit ${code}\n`);
    chmodSync(program, 0o755);
    writeFileSync(log, "");
    return {
      argv: [program],
      calls: () =>
        readFileSync(log, "utf8")
          .split("\n")
          .filter((line) => line !== ""),
    };
  }

  #common() {
    return { host: this.host, say: (line: string) => this.said.push(line) };
  }
}
