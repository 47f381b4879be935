// SPDX-License-Identifier: Apache-2.0
// Wire numbers of Kata's oci.proto: the OCI runtime specification as protobuf.
import { bool, int64, map, message, repeated, string, uint32, uint64 } from "../protobuf/field.ts";
import { LinuxResources } from "./resources.ts";

export const Box = { height: uint32(1), width: uint32(2) };

export const User = {
  uid: uint32(1),
  gid: uint32(2),
  additionalGids: repeated(uint32(3)),
  username: string(4),
};

export const LinuxCapabilities = {
  bounding: repeated(string(1)),
  effective: repeated(string(2)),
  inheritable: repeated(string(3)),
  permitted: repeated(string(4)),
  ambient: repeated(string(5)),
};

export const PosixRlimit = { type: string(1), hard: uint64(2), soft: uint64(3) };

export const Process = {
  terminal: bool(1),
  consoleSize: message(2, Box),
  user: message(3, User),
  args: repeated(string(4)),
  env: repeated(string(5)),
  cwd: string(6),
  capabilities: message(7, LinuxCapabilities),
  rlimits: repeated(message(8, PosixRlimit)),
  noNewPrivileges: bool(9),
  apparmorProfile: string(10),
  oomScoreAdj: int64(11),
  selinuxLabel: string(12),
};

export const Root = { path: string(1), readonly: bool(2) };

export const Mount = {
  destination: string(1),
  source: string(2),
  type: string(3),
  options: repeated(string(4)),
};

const Hook = {
  path: string(1),
  args: repeated(string(2)),
  env: repeated(string(3)),
  timeout: int64(4),
};

/** Only the hooks that run inside of the container; the host runs the others. */
const Hooks = { startContainer: repeated(message(6, Hook)) };

const LinuxIdMapping = { hostId: uint32(1), containerId: uint32(2), size: uint32(3) };

const LinuxNamespace = { type: string(1), path: string(2) };

export const LinuxDevice = {
  path: string(1),
  type: string(2),
  major: int64(3),
  minor: int64(4),
  fileMode: uint32(5),
  uid: uint32(6),
  gid: uint32(7),
};

const LinuxSeccompArg = { index: uint64(1), value: uint64(2), valueTwo: uint64(3), op: string(4) };

const LinuxSyscall = {
  names: repeated(string(1)),
  action: string(2),
  errnoRet: uint32(3),
  args: repeated(message(4, LinuxSeccompArg)),
};

export const LinuxSeccomp = {
  defaultAction: string(1),
  architectures: repeated(string(2)),
  flags: repeated(string(3)),
  syscalls: repeated(message(4, LinuxSyscall)),
};

export const Linux = {
  uidMappings: repeated(message(1, LinuxIdMapping)),
  gidMappings: repeated(message(2, LinuxIdMapping)),
  sysctl: map(3, string(2)),
  resources: message(4, LinuxResources),
  cgroupsPath: string(5),
  namespaces: repeated(message(6, LinuxNamespace)),
  devices: repeated(message(7, LinuxDevice)),
  seccomp: message(8, LinuxSeccomp),
  rootfsPropagation: string(9),
  maskedPaths: repeated(string(10)),
  readonlyPaths: repeated(string(11)),
};

export const Spec = {
  version: string(1),
  process: message(2, Process),
  root: message(3, Root),
  hostname: string(4),
  mounts: repeated(message(5, Mount)),
  hooks: message(6, Hooks),
  annotations: map(7, string(2)),
  linux: message(8, Linux),
};
