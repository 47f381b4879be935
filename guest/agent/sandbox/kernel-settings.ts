// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentError, Status } from "../errors.ts";

const SYSCTL_ROOT = "/proc/sys";
const MAX_HOSTNAME_LENGTH = 64;

/** The guest is the pod's alone, so its name is the pod's. */
export function setHostname(hostname: string): void {
  if (!/^[A-Za-z0-9._-]+$/.test(hostname) || hostname.length > MAX_HOSTNAME_LENGTH) {
    throw new AgentError(
      Status.invalidArgument,
      `${JSON.stringify(hostname.slice(0, 80))} is no host name of up to 64 characters`,
    );
  }
  writeFileSync(join(SYSCTL_ROOT, "kernel/hostname"), hostname);
}

/** Sets kernel settings of the pod; the name of the first that fails is in the error. */
export function setSysctls(settings: ReadonlyMap<string, string>): void {
  for (const [name, value] of settings) {
    try {
      writeFileSync(join(SYSCTL_ROOT, sysctlPath(name)), value);
    } catch (error) {
      if (error instanceof AgentError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new AgentError(Status.invalidArgument, `sysctl ${name}=${value}: ${reason}`, error);
    }
  }
}

/** `net.ipv4.ip_forward` or `net/ipv4/conf/eth0.1/forwarding`, where `.` is part of a name. */
export function sysctlPath(name: string): string {
  const path = name.includes("/") ? name : name.replaceAll(".", "/");
  const parts = path.split("/");
  if (parts.every((part) => /^[A-Za-z0-9_.:-]+$/.test(part) && part !== ".." && part !== ".")) {
    return path;
  }
  throw new AgentError(
    Status.invalidArgument,
    `${JSON.stringify(name.slice(0, 100))} is no sysctl`,
  );
}
