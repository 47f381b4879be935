// SPDX-License-Identifier: Apache-2.0
// Wire numbers of Kata's agent.proto: requests and answers of grpc.AgentService.
import {
  bool,
  bytes,
  int32,
  int64,
  message,
  repeated,
  string,
  uint32,
  uint64,
} from "../protobuf/field.ts";
import { Process, Spec } from "./oci.ts";
import { LinuxResources } from "./resources.ts";
import { ArpNeighbor, Interface, Route } from "./types.ts";

export const Empty = {};

export const StringUser = {
  uid: string(1),
  gid: string(2),
  additionalGids: repeated(string(3)),
};

export const FsGroup = { groupId: uint32(2), groupChangePolicy: int32(3) };

export const Storage = {
  driver: string(1),
  driverOptions: repeated(string(2)),
  source: string(3),
  fstype: string(4),
  options: repeated(string(5)),
  mountPoint: string(6),
  fsGroup: message(7, FsGroup),
  shared: bool(8),
};

export const Device = {
  id: string(1),
  type: string(2),
  vmPath: string(3),
  containerPath: string(4),
  options: repeated(string(5)),
};

const streamPorts = (first: number) => ({
  stdinPort: uint32(first),
  stdoutPort: uint32(first + 1),
  stderrPort: uint32(first + 2),
});

export const CreateContainerRequest = {
  containerId: string(1),
  execId: string(2),
  stringUser: message(3, StringUser),
  devices: repeated(message(4, Device)),
  storages: repeated(message(5, Storage)),
  oci: message(6, Spec),
  sandboxPidns: bool(7),
  ...streamPorts(9),
};

export const ContainerRequest = { containerId: string(1) };
export const RemoveContainerRequest = { containerId: string(1), timeout: uint32(2) };
export const ProcessRequest = { containerId: string(1), execId: string(2) };
export const SignalProcessRequest = { ...ProcessRequest, signal: uint32(3) };
export const WaitProcessResponse = { status: int32(1) };

export const ExecProcessRequest = {
  ...ProcessRequest,
  stringUser: message(3, StringUser),
  process: message(4, Process),
  ...streamPorts(5),
};

export const UpdateContainerRequest = {
  containerId: string(1),
  resources: message(2, LinuxResources),
};

export const WriteStreamRequest = { ...ProcessRequest, data: bytes(3) };
export const WriteStreamResponse = { len: uint32(1) };
export const ReadStreamRequest = { ...ProcessRequest, len: uint32(3) };
export const ReadStreamResponse = { data: bytes(1) };
export const TtyWinResizeRequest = { ...ProcessRequest, row: uint32(3), column: uint32(4) };

export const CreateSandboxRequest = {
  hostname: string(1),
  dns: repeated(string(2)),
  storages: repeated(message(3, Storage)),
  sandboxPidns: bool(4),
  sandboxId: string(5),
  guestHookPath: string(6),
  kernelModules: repeated(message(7, { name: string(1), parameters: repeated(string(2)) })),
};

export const UpdateEphemeralMountsRequest = { storages: repeated(message(1, Storage)) };
export const Interfaces = { interfaces: repeated(message(1, Interface)) };
export const Routes = { routes: repeated(message(1, Route)) };
export const UpdateInterfaceRequest = { interface: message(1, Interface) };
export const UpdateRoutesRequest = { routes: message(1, Routes) };
export const AddArpNeighborsRequest = {
  neighbors: message(1, { neighbors: repeated(message(1, ArpNeighbor)) }),
};

export const OnlineCpuMemRequest = { wait: bool(1), nbCpus: uint32(2), cpuOnly: bool(3) };
export const ReseedRandomDevRequest = { data: bytes(2) };
export const GuestDetailsRequest = { memBlockSize: bool(1), memHotplugProbe: bool(2) };
export const GuestDetailsResponse = {
  memBlockSizeBytes: uint64(1),
  agentDetails: message(2, {
    version: string(1),
    initDaemon: bool(2),
    deviceHandlers: repeated(string(3)),
    storageHandlers: repeated(string(4)),
    supportsSeccomp: bool(5),
    extraFeatures: repeated(string(6)),
  }),
  supportMemHotplugProbe: bool(3),
};
export const MemHotplugByProbeRequest = { memHotplugProbeAddr: repeated(uint64(1)) };
export const SetGuestDateTimeRequest = { sec: int64(1), usec: int64(2) };

export const CopyFileRequest = {
  path: string(1),
  fileSize: int64(2),
  fileMode: uint32(3),
  dirMode: uint32(4),
  uid: int32(5),
  gid: int32(6),
  offset: int64(7),
  data: bytes(8),
};

export const OomEvent = { containerId: string(1) };
export const Metrics = { metrics: string(1) };
export const VolumeStatsRequest = { volumeGuestPath: string(1) };
export const VolumeStatsResponse = {
  usage: repeated(
    message(1, { available: uint64(1), total: uint64(2), used: uint64(3), unit: int32(4) }),
  ),
  volumeCondition: message(2, { abnormal: bool(1), message: string(2) }),
};

// health.proto
export const CheckRequest = { service: string(1) };
export const HealthCheckResponse = { status: int32(1) };
export const VersionCheckResponse = { grpcVersion: string(1), agentVersion: string(2) };
