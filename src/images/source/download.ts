// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { chownSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunResult } from "../../linux/run.ts";
import { DOWNLOADER_ID } from "../jail/run.ts";
import { type ImageLimits, MAX_MANIFEST_BYTES } from "../limits.ts";
import { isLoopback, type Reference } from "../reference.ts";
import { runStep } from "../step.ts";
import type { Workspace } from "../workspace.ts";
import { credentialsFor } from "./credentials.ts";

/** Under these names a download lies in the downloader's directory. */
export const LAYOUT_NAME = "layout";
export const IMAGE_NAME = "image";
/** The same image, should its layers have to be packed anew. */
export const REPACKED_LAYOUT_NAME = "repacked";

/** Packing layers only to unpack them again would cost time. */
const KEEP_PLAIN = "--dest-oci-accept-uncompressed-layers";

export interface DownloadOptions {
  workspace: Workspace;
  limits: ImageLimits;
  signal?: AbortSignal;
}

type RegistryReference = Extract<Reference, { kind: "registry" }>;
type LocalReference = Exclude<Reference, { kind: "registry" | "built-in" }>;

const PROXY_VARIABLES = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);
const POLICY_FILE = "/etc/containers/policy.json";
/** A registry that answers at all does so within this time. */
const RESOLVE_TIMEOUT_MS = 120_000;

/** Asks the registry which manifest (or list of them) a tag stands for: `sha256:…`. */
export async function resolveDigest(
  reference: RegistryReference,
  options: DownloadOptions,
): Promise<string> {
  if (reference.digest !== undefined) return reference.digest;
  const tls = isLoopback(reference.host) ? ["--tls-verify=false"] : [];
  const auth = writeCredentials(reference.host, options.workspace);
  const timeoutMs = Math.min(options.limits.timeoutMs, RESOLVE_TIMEOUT_MS);
  const limits = { ...options.limits, timeoutMs };
  const argv = ["inspect", "--raw", ...tls, ...auth, `docker://${reference.text}`];
  const result = await skopeo("resolve", argv, { ...options, limits, reference });
  return `sha256:${createHash("sha256").update(result.stdout).digest("hex")}`;
}

/** Copies just the image of this digest, so that a tag moved meanwhile makes no difference. */
export async function downloadImage(
  reference: RegistryReference,
  digest: string,
  options: DownloadOptions,
): Promise<void> {
  const tls = isLoopback(reference.host) ? ["--src-tls-verify=false"] : [];
  const auth = writeCredentials(reference.host, options.workspace).map((argument) =>
    argument.replace("--authfile", "--src-authfile"),
  );
  const source = `docker://${reference.host}/${reference.repository}@${digest}`;
  const argv = copyCommand([KEEP_PLAIN, ...tls, ...auth, "--retry-times=2"], source);
  await skopeo("download", argv, { ...options, reference });
}

/** Copies an image out of a layout or an archive of this machine; no network is there. */
export async function copyLocalImage(
  reference: LocalReference,
  inputPath: string,
  options: DownloadOptions,
): Promise<void> {
  const name = reference.name === undefined ? "" : `:${reference.name}`;
  // Of layers that a docker-archive holds plain, skopeo would say that they are compressed.
  const asTheyAre = reference.kind === "docker-archive" ? [] : [KEEP_PLAIN];
  const argv = copyCommand(asTheyAre, `${reference.kind}:/input${name}`);
  await skopeo("download", argv, { ...options, reference, inputPath });
}

/**
 * Packs the layers of a downloaded image with gzip, for an unpacker that knows no zstd (umoci before
 * 0.5). The layers' content, and with it the image's config, stays as it is.
 */
export async function repackLayers(
  reference: string,
  options: DownloadOptions & { layoutPath: string },
): Promise<void> {
  const argv = copyCommand(["--dest-compress-format=gzip"], `oci:/input:${IMAGE_NAME}`, {
    layoutName: REPACKED_LAYOUT_NAME,
  });
  await skopeo("download", argv, {
    ...options,
    reference: { kind: "oci", text: reference },
    inputPath: options.layoutPath,
  });
}

function copyCommand(
  options: string[],
  source: string,
  { layoutName } = { layoutName: LAYOUT_NAME },
): string[] {
  const target = `oci:/workspace/${layoutName}:${IMAGE_NAME}`;
  return ["copy", "--quiet", "--remove-signatures", ...options, source, target];
}

/** Signatures are checked as the host's policy says; a host without one accepts all. */
function skopeo(
  stage: "resolve" | "download",
  argv: readonly string[],
  options: DownloadOptions & {
    reference: Pick<Reference, "kind" | "text">;
    inputPath?: string;
  },
): Promise<RunResult> {
  const { workspace, limits, reference, inputPath, signal } = options;
  const policy = existsSync(POLICY_FILE) ? [] : ["--insecure-policy"];
  const hasNetwork = reference.kind === "registry";
  return runStep({
    stage,
    reference: reference.text,
    argv: ["skopeo", ...policy, "--override-os=linux", "--tmpdir=/workspace/tmp", ...argv],
    workspace,
    identity: "downloader",
    workDirectory: workspace.downloadDirectory,
    hasNetwork,
    limits,
    env: hasNetwork ? proxySettings() : {},
    maxOutputBytes: MAX_MANIFEST_BYTES,
    ...(inputPath === undefined ? {} : { inputPath }),
    ...(signal === undefined ? {} : { signal }),
  });
}

function writeCredentials(host: string, workspace: Workspace): string[] {
  const text = credentialsFor(host);
  if (text === undefined) return [];
  const path = join(workspace.downloadDirectory, "auth.json");
  if (!existsSync(path)) {
    writeFileSync(path, text, { mode: 0o400, flag: "wx" });
    chownSync(path, DOWNLOADER_ID, DOWNLOADER_ID);
  }
  return ["--authfile=/workspace/auth.json"];
}

function proxySettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    PROXY_VARIABLES.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
