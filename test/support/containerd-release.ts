// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/** Names a directory with the containerd and `ctr` to test with, in place of the machine's own. */
const VARIABLE = "MUKON_TEST_CONTAINERD";
const PROGRAMS = ["containerd", "ctr"];

/** Taken at once: whoever starts containerd has a PATH of its own. */
const directory = resolve(process.env[VARIABLE] || "/usr/bin");

/** Path of `containerd`, `ctr`, or what else lies beside them. */
export function containerdProgram(name: string): string {
  return join(directory, name);
}

/** Why containerd cannot be tested here; undefined: it can. */
export function whyNoContainerd(): string | undefined {
  if (PROGRAMS.every((name) => existsSync(containerdProgram(name)))) return undefined;
  if (process.env[VARIABLE]) {
    return `${VARIABLE}=${directory} has not both of ${PROGRAMS.join(" and ")}`;
  }
  return "containerd is not installed: apt-get install containerd";
}

/**
 * Version of the configuration that this containerd is given: 3 from containerd 2 on, where its CRI plugin
 * has become three.
 */
export function configurationVersion(): 2 | 3 {
  const text = execFileSync(containerdProgram("containerd"), ["--version"], { encoding: "utf8" });
  const major = /\sv?(\d+)\.\d+/.exec(text)?.[1];
  if (major === undefined) throw new Error(`containerd --version says: ${text}`);
  return Number(major) >= 2 ? 3 : 2;
}
