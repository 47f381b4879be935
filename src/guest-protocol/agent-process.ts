// SPDX-License-Identifier: Apache-2.0
import { create } from "@bufbuild/protobuf";
import { type Process, ProcessSchema } from "../generated/agent/oci_pb.ts";
import type { OciProcess } from "./oci-spec.ts";

/**
 * A process as the agent takes it, for a container's first process or an exec. Labels of the
 * host's security modules mean nothing in the guest and are left out.
 */
export function toAgentProcess(process: OciProcess): Process {
  const { user, capabilities, consoleSize } = process;
  return create(ProcessSchema, {
    Terminal: process.terminal ?? false,
    ...(consoleSize && {
      ConsoleSize: { Height: consoleSize.height, Width: consoleSize.width },
    }),
    User: {
      UID: user?.uid ?? 0,
      GID: user?.gid ?? 0,
      AdditionalGids: user?.additionalGids ?? [],
      Username: user?.username ?? "",
    },
    Args: process.args,
    Env: process.env ?? [],
    Cwd: process.cwd,
    ...(capabilities && {
      Capabilities: {
        Bounding: capabilities.bounding ?? [],
        Effective: capabilities.effective ?? [],
        Inheritable: capabilities.inheritable ?? [],
        Permitted: capabilities.permitted ?? [],
        Ambient: capabilities.ambient ?? [],
      },
    }),
    Rlimits: (process.rlimits ?? []).map(({ type, hard, soft }) => ({
      Type: type,
      Hard: BigInt(hard),
      Soft: BigInt(soft),
    })),
    NoNewPrivileges: process.noNewPrivileges ?? false,
    OOMScoreAdj: BigInt(process.oomScoreAdj ?? 0),
  });
}
