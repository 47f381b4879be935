// SPDX-License-Identifier: Apache-2.0
import { CLI_CODES } from "./codes/cli.ts";
import { CONFIG_CODES } from "./codes/config.ts";
import { GUEST_CODES } from "./codes/guest.ts";
import { GUEST_PROTOCOL_CODES } from "./codes/guest-protocol.ts";
import { HOST_CODES } from "./codes/host.ts";
import { IMAGE_CODES } from "./codes/images.ts";
import { KEEPER_CODES } from "./codes/keeper.ts";
import { LINUX_CODES } from "./codes/linux.ts";
import { NODE_INSTALL_CODES } from "./codes/node-install.ts";
import { SANDBOX_CODES } from "./codes/sandbox.ts";
import { SHIM_CODES } from "./codes/shim.ts";
import { TTRPC_CODES } from "./codes/ttrpc.ts";
import { VMM_CODES } from "./codes/vmm.ts";

/** Codes that belong to no layer. */
export const GENERAL_CODES = {
  DISK_FULL: "A file system of the host has no room left for what a pod needs.",
  FILES_EXHAUSTED: "No more files can be opened, by this program or on this host.",
  MEMORY_EXHAUSTED: "The host, or the cgroup that mukon runs in, has no memory left.",
  INTERNAL: "A failure that mukon did not foresee; its message is the system's own.",
} as const;

/** Every code that mukon can report, by the part that reports it. */
export const ERROR_AREAS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  General: GENERAL_CODES,
  "Command line": CLI_CODES,
  Configuration: CONFIG_CODES,
  "Guest image": GUEST_CODES,
  "Guest protocol": GUEST_PROTOCOL_CODES,
  Host: HOST_CODES,
  Images: IMAGE_CODES,
  Keeper: KEEPER_CODES,
  "Node installer": NODE_INSTALL_CODES,
  "System calls and programs": LINUX_CODES,
  ttrpc: TTRPC_CODES,
  Sandbox: SANDBOX_CODES,
  Shim: SHIM_CODES,
  VMM: VMM_CODES,
};
