// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";

/** What must not outlive a boot: on tmpfs. `MUKON_RUN_ROOT` moves it, for tests. */
export function runRoot(): string {
  return process.env.MUKON_RUN_ROOT ?? "/run/mukon";
}

/** What stays: images and the guest. `MUKON_STATE_ROOT` moves it, for tests. */
export function stateRoot(): string {
  return process.env.MUKON_STATE_ROOT ?? "/var/lib/mukon";
}

/**
 * One root-only directory a sandbox: journal, state, log of its shim.
 * @throws SANDBOX_KEY_INVALID when the key is no plain file name
 */
export function sandboxDirectory(key: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,250}$/.test(key)) {
    throw new MukonError("SANDBOX_KEY_INVALID", `${JSON.stringify(key)} cannot name a sandbox`, {
      hint: "use letters, digits, dots, dashes and underscores",
    });
  }
  return join(sandboxesDirectory(), key);
}

export function sandboxesDirectory(): string {
  return join(runRoot(), "sandboxes");
}

/** One directory a block of host ids that is in use. */
export function identitiesDirectory(): string {
  return join(runRoot(), "identities");
}

/** One directory a pod that shares files: what its virtiofsd serves. */
export function sharedDirectory(): string {
  return join(runRoot(), "shared");
}

/** Sockets of shims; short, as a socket's path has at most 107 bytes (unix(7)). */
export function shimSocketsDirectory(): string {
  return join(runRoot(), "s");
}

export function imagesDirectory(): string {
  return join(stateRoot(), "images");
}

export function guestDirectory(): string {
  return join(stateRoot(), "guest");
}

/** One root-only directory a template that pods are cloned from. */
export function templatesDirectory(): string {
  return join(stateRoot(), "templates");
}

/** Parent of the VMMs' runtime directories. `MUKON_RUNTIME_DIR_ROOT` moves it, for tests. */
export function runtimeDirectoryRoot(): string {
  return process.env.MUKON_RUNTIME_DIR_ROOT ?? "/run/user";
}
