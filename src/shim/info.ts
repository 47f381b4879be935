// SPDX-License-Identifier: Apache-2.0
import { writeSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { RuntimeInfoSchema } from "../generated/containerd/types_pb.ts";
import { VERSION } from "../version.ts";

/** The answer to `-info`, which containerd 2 asks for. */
export function printInfo(): void {
  const info = create(RuntimeInfoSchema, {
    name: "io.containerd.mukon.v2",
    version: { version: VERSION },
  });
  writeSync(1, toBinary(RuntimeInfoSchema, info));
}
