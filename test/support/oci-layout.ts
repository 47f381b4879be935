// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { makeTar, type TarEntry } from "./tar.ts";

export interface LayoutOptions {
  /** Bottom first: entries, or the bytes of an uncompressed tar archive. */
  layers: (TarEntry[] | Buffer)[];
  /** The config's `config` object. */
  config?: Record<string, unknown>;
  created?: string;
  tag?: string;
  mediaType?: string;
  /** Spoils the documents before they are written. */
  change?: (documents: { config: Document; manifest: Document }) => void;
}

type Document = Record<string, unknown>;

const OCI = "application/vnd.oci.image";

/** Writes an OCI layout with one image; returns the digests of its manifest and config. */
export function writeLayout(
  directory: string,
  options: LayoutOptions,
): { manifestDigest: string; configDigest: string } {
  mkdirSync(join(directory, "blobs/sha256"), { recursive: true });
  const blob = (data: Buffer): string => {
    const hex = createHash("sha256").update(data).digest("hex");
    writeFileSync(join(directory, "blobs/sha256", hex), data);
    return `sha256:${hex}`;
  };
  const tars = options.layers.map((layer) => (Buffer.isBuffer(layer) ? layer : makeTar(layer)));
  const layers = tars.map((tar) => {
    const data = gzipSync(tar, { level: 1 });
    const mediaType = options.mediaType ?? `${OCI}.layer.v1.tar+gzip`;
    return { mediaType, digest: blob(data), size: data.length };
  });
  const config: Document = {
    created: options.created ?? "2023-11-14T22:13:20Z",
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: options.config ?? { Cmd: ["/bin/hello"] },
    rootfs: { type: "layers", diff_ids: tars.map((tar) => `sha256:${sha256(tar)}`) },
  };
  const manifest: Document = { schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, layers };
  options.change?.({ config, manifest });
  const configData = Buffer.from(JSON.stringify(config));
  const configDigest = blob(configData);
  manifest.config ??= {
    mediaType: `${OCI}.config.v1+json`,
    digest: configDigest,
    size: configData.length,
  };
  const manifestData = Buffer.from(JSON.stringify(manifest));
  const manifestDigest = blob(manifestData);
  writeIndex(directory, { digest: manifestDigest, size: manifestData.length, tag: options.tag });
  return { manifestDigest, configDigest };
}

function writeIndex(
  directory: string,
  image: { digest: string; size: number; tag?: string | undefined },
): void {
  const entry = {
    mediaType: `${OCI}.manifest.v1+json`,
    digest: image.digest,
    size: image.size,
    annotations: { "org.opencontainers.image.ref.name": image.tag ?? "latest" },
  };
  writeFileSync(
    join(directory, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [entry] }),
  );
  writeFileSync(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}

function sha256(data: Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}
