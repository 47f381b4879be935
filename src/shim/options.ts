// SPDX-License-Identifier: Apache-2.0
import { fromBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { MukonError } from "../errors/mukon-error.ts";
import { BootstrapParamsSchema } from "../generated/containerd/bootstrap_pb.ts";
import { OptionsSchema } from "../generated/containerd/runtimeoptions_pb.ts";

const OPTIONS_TYPE = "runtimeoptions.v1.Options";

/** What a client can set for the shim. */
export interface RuntimeOptions {
  /** A configuration file that wins over the default ones. */
  configurationPath: string | undefined;
}

/**
 * Reads what `start` found on its standard input: nothing, an Any with the options, or (from
 * containerd 2.3 on) bootstrap parameters with the options among their extensions.
 * @throws RUNTIME_OPTIONS_INVALID
 */
export function readStartOptions(
  input: Buffer,
  call: { id: string; namespace: string },
): RuntimeOptions {
  if (input.length === 0) return { configurationPath: undefined };
  try {
    return optionsOf(bootstrapOptions(input, call) ?? [fromBinary(AnySchema, input)]);
  } catch (cause) {
    throw invalid(cause);
  }
}

/** Reads the options of a Create. @throws RUNTIME_OPTIONS_INVALID */
export function readTaskOptions(any: Any | undefined): RuntimeOptions {
  try {
    return optionsOf(any === undefined ? [] : [any]);
  } catch (cause) {
    throw invalid(cause);
  }
}

/** Both kinds begin with a string; bootstrap parameters repeat what is in the arguments. */
function bootstrapOptions(
  input: Buffer,
  call: { id: string; namespace: string },
): Any[] | undefined {
  try {
    const params = fromBinary(BootstrapParamsSchema, input);
    if (params.instanceId !== call.id || params.namespace !== call.namespace) return undefined;
    return params.extensions.flatMap(({ value }) => (value === undefined ? [] : [value]));
  } catch {
    return undefined;
  }
}

function optionsOf(candidates: readonly Any[]): RuntimeOptions {
  const any = candidates.find(({ typeUrl }) => typeUrl.split("/").at(-1) === OPTIONS_TYPE);
  if (any === undefined) return { configurationPath: undefined };
  const { configPath } = fromBinary(OptionsSchema, any.value);
  return { configurationPath: configPath === "" ? undefined : configPath };
}

function invalid(cause: unknown): MukonError {
  return new MukonError("RUNTIME_OPTIONS_INVALID", "the runtime options cannot be read", {
    hint: 'use options of the type "runtimeoptions.v1.Options", with ConfigPath',
    cause,
  });
}
