// SPDX-License-Identifier: Apache-2.0
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LinuxSeccompSchema } from "../generated/agent/oci_pb.ts";
import type { OciSeccomp } from "./oci/linux.ts";

/** A seccomp profile as the agent takes it; it has no room for `defaultErrnoRet`. */
export function toAgentSeccomp(seccomp: OciSeccomp): MessageInitShape<typeof LinuxSeccompSchema> {
  return {
    DefaultAction: seccomp.defaultAction,
    Architectures: seccomp.architectures ?? [],
    Flags: seccomp.flags ?? [],
    Syscalls: (seccomp.syscalls ?? []).map(({ names, action, errnoRet, args }) => ({
      Names: names,
      Action: action,
      ...(errnoRet !== undefined && {
        ErrnoRet: { case: "errnoret" as const, value: errnoRet },
      }),
      Args: (args ?? []).map(({ index, value, valueTwo, op }) => ({
        Index: BigInt(index),
        Value: BigInt(value),
        ValueTwo: BigInt(valueTwo ?? 0),
        Op: op,
      })),
    })),
  };
}
