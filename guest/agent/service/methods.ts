// SPDX-License-Identifier: Apache-2.0
import type { Reaper } from "../container/reaper.ts";
import { AgentError, Status } from "../errors.ts";
import { reseedRandom, setClock } from "../native/clock-and-random.ts";
import type { Connections } from "../network/connections.ts";
import { listInterfaces, updateInterface } from "../network/interfaces.ts";
import { ipCommand } from "../network/ip-command.ts";
import { addNeighbours } from "../network/neighbours.ts";
import { listRoutes, updateRoutes } from "../network/routes.ts";
import { copyFile } from "../sandbox/copy-file.ts";
import { addMemory, guestDetails, onlineCpusAndMemory, volumeStats } from "../sandbox/guest.ts";
import { metricsText } from "../sandbox/metrics.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import * as schema from "../schema/agent.ts";
import { Interface } from "../schema/types.ts";
import { type Method, type Methods, method } from "../ttrpc/server.ts";
import { AGENT_VERSION, PROTOCOL_VERSION } from "../version.ts";
import { containerMethods } from "./container-methods.ts";
import { forwardingMethods } from "./forwarding-methods.ts";

const SERVING = 1;

export interface ServiceParts {
  readonly sandbox: Sandbox;
  readonly reaper: Reaper;
  readonly connections: Connections;
  readonly oomEvents: { next(): Promise<string> };
  readonly storages: { remount: (storages: Storages) => Promise<void> };
}

type Storages = Parameters<import("../storage/storages.ts").Storages["remount"]>[0];

/** All that the agent serves, by `service/method`. */
export function allMethods(parts: ServiceParts): Methods {
  return new Map([
    ...named("grpc.Health", healthMethods()),
    ...named("grpc.AgentService", {
      ...containerMethods(parts.sandbox),
      ...sandboxMethods(parts),
      ...guestMethods(),
      ...networkMethods(parts.reaper),
    }),
    ...named("mukon.agent.v1.Forwarding", forwardingMethods(parts.connections)),
  ]);
}

function named(service: string, methods: Record<string, Method>): [string, Method][] {
  return Object.entries(methods).map(([name, handler]) => [`${service}/${name}`, handler]);
}

function healthMethods(): Record<string, Method> {
  return {
    Check: method([schema.CheckRequest, schema.HealthCheckResponse], () => ({ status: SERVING })),
    Version: method([schema.CheckRequest, schema.VersionCheckResponse], () => ({
      grpcVersion: PROTOCOL_VERSION,
      agentVersion: AGENT_VERSION,
    })),
  };
}

function sandboxMethods(parts: ServiceParts): Record<string, Method> {
  const { sandbox, oomEvents, storages } = parts;
  return {
    CreateSandbox: method([schema.CreateSandboxRequest, schema.Empty], async (request) => {
      await sandbox.create(request);
      return {};
    }),
    DestroySandbox: method([schema.Empty, schema.Empty], async () => {
      await sandbox.destroy();
      return {};
    }),
    GetOOMEvent: method([schema.Empty, schema.OomEvent], async () => ({
      containerId: await oomEvents.next(),
    })),
    UpdateEphemeralMounts: method(
      [schema.UpdateEphemeralMountsRequest, schema.Empty],
      async (request) => {
        await storages.remount(request.storages);
        return {};
      },
    ),
    // This agent keeps no mount of a container that is gone.
    RemoveStaleVirtiofsShareMounts: method([schema.Empty, schema.Empty], () => ({})),
  };
}

function guestMethods(): Record<string, Method> {
  return {
    SetGuestDateTime: method([schema.SetGuestDateTimeRequest, schema.Empty], ({ sec, usec }) => {
      setClock(sec, usec);
      return {};
    }),
    ReseedRandomDev: method([schema.ReseedRandomDevRequest, schema.Empty], ({ data }) => {
      reseedRandom(data);
      return {};
    }),
    OnlineCPUMem: method([schema.OnlineCpuMemRequest, schema.Empty], async (request) => {
      await onlineCpusAndMemory(request);
      return {};
    }),
    MemHotplugByProbe: method([schema.MemHotplugByProbeRequest, schema.Empty], (request) => {
      addMemory(request.memHotplugProbeAddr);
      return {};
    }),
    GetGuestDetails: method(
      [schema.GuestDetailsRequest, schema.GuestDetailsResponse],
      guestDetails,
    ),
    CopyFile: method([schema.CopyFileRequest, schema.Empty], async (request) => {
      await copyFile(request);
      return {};
    }),
    GetMetrics: method([schema.Empty, schema.Metrics], () => ({ metrics: metricsText() })),
    GetVolumeStats: method(
      [schema.VolumeStatsRequest, schema.VolumeStatsResponse],
      ({ volumeGuestPath }) => volumeStats(volumeGuestPath),
    ),
  };
}

function networkMethods(reaper: Reaper): Record<string, Method> {
  const ip = ipCommand(reaper);
  return {
    UpdateInterface: method([schema.UpdateInterfaceRequest, Interface], async (request) => {
      if (request.interface === undefined) throw missing("interface");
      await updateInterface(ip, request.interface);
      return request.interface;
    }),
    UpdateRoutes: method([schema.UpdateRoutesRequest, schema.Routes], async (request) => {
      await updateRoutes(ip, request.routes?.routes ?? []);
      return { routes: listRoutes() };
    }),
    AddARPNeighbors: method([schema.AddArpNeighborsRequest, schema.Empty], (request) => {
      addNeighbours(request.neighbors?.neighbors ?? []);
      return {};
    }),
    ListInterfaces: method([schema.Empty, schema.Interfaces], () => ({
      interfaces: listInterfaces(),
    })),
    ListRoutes: method([schema.Empty, schema.Routes], () => ({ routes: listRoutes() })),
  };
}

function missing(part: string): AgentError {
  return new AgentError(Status.invalidArgument, `the request has no ${part}`);
}
