// SPDX-License-Identifier: Apache-2.0
import { fromBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { MukonError } from "../errors/mukon-error.ts";
import { BootstrapParamsSchema } from "../generated/containerd/bootstrap_pb.ts";
import { OptionsSchema } from "../generated/containerd/runtimeoptions_pb.ts";

const OPTIONS_TYPE = "runtimeoptions.v1.Options";
/** What clients send that take every runtime for runc; nothing of it means anything here. */
const RUNC_OPTIONS_TYPE = "containerd.runc.v1.Options";
const NONE: RuntimeOptions = { configurationPath: undefined, configurationText: undefined };

/** What a client can set for the shim. */
export interface RuntimeOptions {
  /** A configuration file that wins over the default ones. */
  configurationPath: string | undefined;
  /** The configuration itself, in place of a file. */
  configurationText: string | undefined;
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
  if (input.length === 0) return NONE;
  try {
    const extensions = bootstrapOptions(input, call);
    if (extensions === undefined) return optionsOf(fromBinary(AnySchema, input));
    // Extensions are of many kinds, and those that nobody here knows are no concern of ours.
    return optionsOf(extensions.find((any) => typeOf(any) === OPTIONS_TYPE));
  } catch (cause) {
    throw invalid(cause);
  }
}

export function hasConfiguration(options: RuntimeOptions): boolean {
  return options.configurationPath !== undefined || options.configurationText !== undefined;
}

/** Reads the options of a Create. @throws RUNTIME_OPTIONS_INVALID */
export function readTaskOptions(any: Any | undefined): RuntimeOptions {
  try {
    return optionsOf(any);
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

function optionsOf(any: Any | undefined): RuntimeOptions {
  if (any === undefined || ["", RUNC_OPTIONS_TYPE].includes(typeOf(any))) return NONE;
  if (typeOf(any) !== OPTIONS_TYPE) throw new Error(`they are of the type "${any.typeUrl}"`);
  const { configPath, configBody } = fromBinary(OptionsSchema, any.value);
  return {
    configurationPath: configPath === "" ? undefined : configPath,
    configurationText: configBody.length === 0 ? undefined : text(configBody),
  };
}

function typeOf({ typeUrl }: Any): string {
  return typeUrl.split("/").at(-1) ?? "";
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function invalid(cause: unknown): MukonError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MukonError("RUNTIME_OPTIONS_INVALID", `the runtime options cannot be read: ${why}`, {
    hint: `use options of the type "${OPTIONS_TYPE}", with ConfigPath or ConfigBody`,
    cause,
  });
}
