// SPDX-License-Identifier: Apache-2.0
import { CHECKOUT, KEY_ALIAS } from "./names.ts";

export interface SshTarget {
  port: number;
  user: string;
  clientKey: string;
  knownHosts: string;
  /** Socket of the connection that later commands share. */
  controlPath: string;
}

/** One word for a POSIX shell; ssh has no argument vectors. */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A command line that runs exactly this vector in the checkout. */
export function remoteCommand(argv: readonly string[], directory: string = CHECKOUT): string {
  return `cd ${quoteWord(directory)} && exec ${argv.map(quoteWord).join(" ")}`;
}

/**
 * ssh's arguments up to the command. Nothing of the user's own configuration counts; the host is
 * known by its key, so that whatever else listens on the port is refused.
 */
export function sshArguments(target: SshTarget, options: { isTerminal?: boolean } = {}): string[] {
  const settings = [
    `UserKnownHostsFile=${target.knownHosts}`,
    "GlobalKnownHostsFile=/dev/null",
    `HostKeyAlias=${KEY_ALIAS}`,
    "StrictHostKeyChecking=yes",
    `IdentityFile=${target.clientKey}`,
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "BatchMode=yes",
    "LogLevel=ERROR",
    "ConnectTimeout=60",
    // A host that has come to a halt is noticed after three minutes.
    "ServerAliveInterval=30",
    "ServerAliveCountMax=6",
    "ControlMaster=auto",
    `ControlPath=${target.controlPath}`,
    "ControlPersist=600",
  ].flatMap((setting) => ["-o", setting]);
  return [
    ...["ssh", "-F", "none", "-p", String(target.port), ...settings],
    ...(options.isTerminal === true ? ["-tt"] : ["-T"]),
    `${target.user}@127.0.0.1`,
  ];
}
