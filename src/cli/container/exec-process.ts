// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { type OciProcess, parseOciSpec } from "../../guest-protocol/oci-spec.ts";
import { lookUpUser, type ProcessUser } from "../../images/accounts.ts";
import type { Accounts } from "../../images/types.ts";
import { containerEnvironment } from "./environment.ts";
import { bundlePaths } from "./paths.ts";
import { capabilitiesOf } from "./spec.ts";

/** What the command line of `mukon exec` says. */
export interface RawExecOptions {
  interactive?: boolean;
  tty?: boolean;
  env?: string[];
  envFile?: string[];
  workdir?: string;
  user?: string;
}

const NOBODY = 65534;

/**
 * The container's own process, with what the command line of `mukon exec` changes. Another user has
 * the capabilities that a container of that user would have.
 * @throws BUNDLE_DAMAGED, ENVIRONMENT_FILE_INVALID
 */
export function execProcess(id: string, command: string[], raw: RawExecOptions): OciProcess {
  const paths = bundlePaths(id);
  const base = parseOciSpec(JSON.parse(readFileSync(paths.config, "utf8"))).process;
  if (base === undefined)
    throw new MukonError("BUNDLE_DAMAGED", `${paths.config} names no process`);
  return {
    ...base,
    ...(raw.user === undefined ? {} : asUser(paths.accounts, raw.user)),
    terminal: raw.tty ?? false,
    args: command,
    cwd: raw.workdir ?? base.cwd,
    env: containerEnvironment({
      image: base.env ?? [],
      files: raw.envFile ?? [],
      options: raw.env ?? [],
      terminal: raw.tty ?? false,
    }),
  };
}

/**
 * The guest looks the name up in what the container's /etc/passwd says now, and takes `username` for
 * ids and capabilities. The ids are for agents that do not know names: the image's, or nobody's.
 */
function asUser(accountsFile: string, text: string): Pick<OciProcess, "user" | "capabilities"> {
  const accounts = JSON.parse(readFileSync(accountsFile, "utf8")) as Accounts;
  const user = imageUser(accounts, text);
  return { user: { ...user, username: text }, capabilities: capabilitiesOf(user.uid) };
}

function imageUser(accounts: Accounts, text: string): ProcessUser {
  try {
    return lookUpUser(accounts, text);
  } catch {
    return { uid: NOBODY, gid: NOBODY, additionalGids: [] };
  }
}
