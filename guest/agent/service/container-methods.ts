// SPDX-License-Identifier: Apache-2.0
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readField, setFrozen } from "../cgroup/control.ts";
import { networkStats, readCgroupStats } from "../cgroup/stats.ts";
import type { Container } from "../container/container.ts";
import { checkIdentifier } from "../container/identifier.ts";
import { stringify } from "../container/json.ts";
import { withStringUser } from "../container/process-json.ts";
import { resourcesJson } from "../container/resources-json.ts";
import { AgentError, Status } from "../errors.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import * as schema from "../schema/agent.ts";
import { StatsContainerResponse } from "../schema/stats.ts";
import { type Method, method } from "../ttrpc/server.ts";
import { streamMethods } from "./stream-methods.ts";

const MAX_SIGNAL = 64;

/** Methods that are about one container or one of its processes. */
export function containerMethods(sandbox: Sandbox): Record<string, Method> {
  return {
    ...lifeCycleMethods(sandbox),
    ...processMethods(sandbox),
    ...resourceMethods(sandbox),
    ...streamMethods(sandbox),
  };
}

function lifeCycleMethods(sandbox: Sandbox): Record<string, Method> {
  return {
    CreateContainer: method([schema.CreateContainerRequest, schema.Empty], async (request) => {
      refuseStreamPorts(request);
      await sandbox.createContainer(request);
      return {};
    }),
    StartContainer: method([schema.ContainerRequest, schema.Empty], async ({ containerId }) => {
      await sandbox.container(containerId).start();
      return {};
    }),
    RemoveContainer: method([schema.RemoveContainerRequest, schema.Empty], async (request) => {
      await withTimeout(sandbox.removeContainer(request.containerId), request.timeout);
      return {};
    }),
  };
}

function processMethods(sandbox: Sandbox): Record<string, Method> {
  return {
    ExecProcess: method([schema.ExecProcessRequest, schema.Empty], async (request) => {
      refuseStreamPorts(request);
      const execId = checkIdentifier(request.execId, "exec id");
      if (request.process === undefined) {
        throw new AgentError(Status.invalidArgument, "the request has no process");
      }
      const process = withStringUser(request.process, request.stringUser);
      await sandbox.container(request.containerId).exec(execId, process);
      return {};
    }),
    SignalProcess: method([schema.SignalProcessRequest, schema.Empty], async (request) => {
      if (request.signal > MAX_SIGNAL) {
        throw new AgentError(Status.invalidArgument, `${request.signal} is no signal`);
      }
      await sandbox.container(request.containerId).signal(request.execId, request.signal);
      return {};
    }),
    WaitProcess: method([schema.ProcessRequest, schema.WaitProcessResponse], async (request) => ({
      status: await sandbox.container(request.containerId).wait(request.execId),
    })),
  };
}

function resourceMethods(sandbox: Sandbox): Record<string, Method> {
  return {
    UpdateContainer: method([schema.UpdateContainerRequest, schema.Empty], async (request) => {
      const { parts } = sandbox.container(request.containerId);
      const file = join(parts.bundle, "resources.json");
      await writeFile(file, stringify(resourcesJson(request.resources)));
      await parts.crun.update(parts.id, file);
      return {};
    }),
    StatsContainer: method(
      [schema.ContainerRequest, StatsContainerResponse],
      ({ containerId }) => ({
        cgroupStats: readCgroupStats(sandbox.container(containerId).parts.cgroup),
        networkStats: networkStats(readField("/proc/net/dev")),
      }),
    ),
    PauseContainer: method([schema.ContainerRequest, schema.Empty], ({ containerId }) =>
      freeze(sandbox.container(containerId), true),
    ),
    ResumeContainer: method([schema.ContainerRequest, schema.Empty], ({ containerId }) =>
      freeze(sandbox.container(containerId), false),
    ),
  };
}

async function freeze(container: Container, isFrozen: boolean): Promise<Record<string, never>> {
  if (container.init.hasExited) {
    throw new AgentError(Status.failedPrecondition, `container ${container.parts.id} has ended`);
  }
  await setFrozen(container.parts.cgroup, isFrozen);
  return {};
}

/** Streams over sockets of their own need a transport that this agent does not use. */
function refuseStreamPorts(request: {
  stdinPort: number;
  stdoutPort: number;
  stderrPort: number;
}): void {
  if (request.stdinPort === 0 && request.stdoutPort === 0 && request.stderrPort === 0) return;
  throw new AgentError(Status.unimplemented, "this agent gives output by ReadStdout only");
}

/** @param timeoutSeconds 0 to wait for ever */
async function withTimeout(work: Promise<void>, timeoutSeconds: number): Promise<void> {
  if (timeoutSeconds === 0) return work;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new AgentError(Status.deadlineExceeded, `not done within ${timeoutSeconds} s`);
    timer = setTimeout(() => reject(error), timeoutSeconds * 1000);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
