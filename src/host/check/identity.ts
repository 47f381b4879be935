// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants } from "node:fs";
import type { IdentityConfiguration } from "../identity/types.ts";
import { areUserRecordsServed } from "../identity/user-records.ts";
import type { CheckResult } from "./types.ts";

/** Whether the VMMs' users can get their names. */
export function checkIdentityBackend(
  choice: IdentityConfiguration["identityBackend"],
  host = { areRecordsServed: areUserRecordsServed(), isEtcWritable: isWritable("/etc") },
): CheckResult {
  const name = "user-names";
  const install =
    'apt-get install libnss-systemd, and add "systemd" to passwd and group in /etc/nsswitch.conf';
  if (choice !== "useradd" && host.areRecordsServed) {
    return { name, status: "ok", message: "systemd user records; nothing is written to /etc" };
  }
  if (choice === "user-records") {
    const message = "systemd user records are wanted, but this machine does not resolve them";
    return { name, status: "failed", message, remedy: install };
  }
  if (!host.isEtcWritable) {
    const message = "users must be made with useradd, but /etc cannot be written to";
    return { name, status: "failed", message, remedy: install };
  }
  return { name, status: "ok", message: "useradd" };
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
