// SPDX-License-Identifier: Apache-2.0

import { resolve } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { OptionsSchema } from "../../generated/containerd/runtimeoptions_pb.ts";

/** What a shim's `start` reads from standard input: which configuration file to use. */
export function shimOptions(configurationFile: string | undefined): Buffer {
  if (configurationFile === undefined) return Buffer.alloc(0);
  const options = create(OptionsSchema, { configPath: resolve(configurationFile) });
  const any = create(AnySchema, {
    typeUrl: "runtimeoptions.v1.Options",
    value: toBinary(OptionsSchema, options),
  });
  return Buffer.from(toBinary(AnySchema, any));
}
