// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../errors/mukon-error.ts";
import { type ParsedConfig, parseImageConfig } from "./configuration.ts";
import { MAX_CONFIG_BYTES, MAX_LAYERS, MAX_MANIFEST_BYTES } from "./limits.ts";
import { readBounded } from "./read-bounded.ts";

/** The only image of an OCI layout, its documents checked against their digests. */
export interface LayoutImage extends ParsedConfig {
  manifestDigest: string;
  configDigest: string;
  layerCount: number;
  /** A layer is packed with zstd. */
  hasZstdLayer: boolean;
}

const Digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));
const Descriptor = v.object({ mediaType: v.optional(v.string()), digest: Digest });
const Index = v.object({ manifests: v.pipe(v.array(Descriptor), v.length(1)) });
const Manifest = v.object({
  config: Descriptor,
  layers: v.pipe(v.array(Descriptor), v.maxLength(MAX_LAYERS)),
});

/** Compressions that can be unpacked; others would fail late and darkly. */
const LAYER_TYPE =
  /^application\/vnd\.(oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?|docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip)?)$/;

/**
 * Reads the image of an OCI layout that holds just one (OCI image spec, "Image Layout").
 * @throws IMAGE_INVALID
 */
export function readLayout(directory: string, reference: string): LayoutImage {
  const fail = (why: string): never => {
    throw new MukonError("IMAGE_INVALID", `${reference} cannot be used: ${why}`, {
      hint: "build or push the image again, or ask its maker",
    });
  };
  const parse = <Schema extends v.GenericSchema>(
    what: { name: string; schema: Schema },
    bytes: Buffer | undefined,
  ): v.InferOutput<Schema> => {
    const parsed = v.safeParse(what.schema, parseJson(bytes));
    return parsed.success ? parsed.output : fail(`its ${what.name} is missing or malformed`);
  };
  const blob = (digest: string, maxBytes: number): Buffer => {
    const [, hex = ""] = digest.split(":");
    const bytes = readBounded(join(directory, "blobs", "sha256", hex), maxBytes);
    if (bytes !== undefined && createHash("sha256").update(bytes).digest("hex") === hex)
      return bytes;
    return fail(`${digest} is missing, too long, or not what its digest says`);
  };
  const indexBytes = readBounded(join(directory, "index.json"), MAX_MANIFEST_BYTES);
  const [entry] = parse({ name: "index", schema: Index }, indexBytes).manifests;
  const manifestDigest = entry?.digest ?? fail("its index is empty");
  const manifestBytes = blob(manifestDigest, MAX_MANIFEST_BYTES);
  const manifest = parse({ name: "manifest", schema: Manifest }, manifestBytes);
  const odd = manifest.layers.find((layer) => !LAYER_TYPE.test(layer.mediaType ?? ""));
  if (odd !== undefined) {
    fail(
      `it has a layer of type ${(odd.mediaType ?? "").slice(0, 100)}; tar, tar+gzip and tar+zstd are known`,
    );
  }
  const configDigest = manifest.config.digest;
  const config = blob(configDigest, MAX_CONFIG_BYTES).toString("utf8");
  const parsed = parseImageConfig(config, reference);
  const layerCount = manifest.layers.length;
  if (parsed.diffIds.length !== layerCount) fail("its config and manifest differ in their layers");
  const hasZstdLayer = manifest.layers.some((layer) => layer.mediaType?.endsWith("+zstd"));
  return { ...parsed, manifestDigest, configDigest, layerCount, hasZstdLayer };
}

function parseJson(bytes: Buffer | undefined): unknown {
  try {
    return JSON.parse(bytes?.toString("utf8") ?? "");
  } catch {
    return undefined;
  }
}
