// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";

/** Where an image comes from. `text` is the reference in full, and its name in the store. */
export type Reference =
  | { kind: "built-in"; text: string }
  | { kind: "registry"; text: string; host: string; repository: string; digest?: string }
  | { kind: LocalKind; text: string; path: string; name?: string };

export type LocalKind = "oci" | "oci-archive" | "docker-archive";

export const BUILT_IN_IMAGE = "busybox";

const LOCAL_KINDS: readonly LocalKind[] = ["oci", "oci-archive", "docker-archive"];
const MAX_LENGTH = 1024;
/** github.com/distribution/reference: NameTotalLengthMax. */
const MAX_REPOSITORY_LENGTH = 255;

// The grammar of github.com/distribution/reference, without uppercase hosts of local networks.
const HOST = String.raw`(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,252}[a-zA-Z0-9])?|\[[0-9a-fA-F:]{2,39}\])(?::[0-9]{1,5})?`;
const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const REPOSITORY = `${COMPONENT}(?:/${COMPONENT})*`;
const TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const DIGEST = "sha256:[0-9a-f]{64}";
const REGISTRY_REFERENCE = new RegExp(`^(.+?)(?::(${TAG}))?(?:@(${DIGEST}))?$`);
const NAME_IN_ARCHIVE = /^[A-Za-z0-9_][A-Za-z0-9_.:/@+-]{0,254}$/;

/**
 * Parses `busybox`, `oci:DIR[:tag]`, `oci-archive:FILE[:tag]`, `docker-archive:FILE[:name]`, or a
 * registry reference as Docker writes them: `debian:12`, `ghcr.io/a/b@sha256:…`.
 * @throws IMAGE_REFERENCE_INVALID
 */
export function parseReference(text: string): Reference {
  if (text.length === 0 || text.length > MAX_LENGTH || hasControlCharacter(text)) {
    throw invalid(text.slice(0, 80), `it must have 1 to ${MAX_LENGTH} printable characters`);
  }
  if (text === BUILT_IN_IMAGE) return { kind: "built-in", text };
  const kind = LOCAL_KINDS.find((name) => text.startsWith(`${name}:`));
  if (kind !== undefined) return parseLocal(kind, text);
  return parseRegistry(text.replace(/^docker:\/\//, ""));
}

/** True for a registry of this very machine, which may speak plain HTTP. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/.test(host);
}

/** A name follows the first colon, as skopeo has it: a path cannot hold one. */
function parseLocal(kind: LocalKind, text: string): Reference {
  const rest = text.slice(kind.length + 1);
  const colon = rest.indexOf(":");
  const path = colon === -1 ? rest : rest.slice(0, colon);
  if (path === "") throw invalid(text, "it names no file");
  const full = resolve(path);
  if (colon === -1) return { kind, path: full, text: `${kind}:${full}` };
  const name = rest.slice(colon + 1);
  if (!NAME_IN_ARCHIVE.test(name)) throw invalid(text, `"${name}" is no name of an image`);
  return { kind, path: full, name, text: `${kind}:${full}:${name}` };
}

function parseRegistry(text: string): Reference {
  const [, name, tag, digest] = REGISTRY_REFERENCE.exec(text) ?? [];
  if (name === undefined) throw invalid(text, "its tag or digest is malformed");
  const { host, repository } = splitHost(name);
  if (!new RegExp(`^${HOST}$`).test(host)) throw invalid(text, `"${host}" is no host`);
  if (
    repository.length > MAX_REPOSITORY_LENGTH ||
    !new RegExp(`^${REPOSITORY}$`).test(repository)
  ) {
    throw invalid(text, `"${repository}" is no repository: lower-case words, split by slashes`);
  }
  const base = { kind: "registry", host, repository } as const;
  // A digest says all; a tag beside it is only a comment.
  if (digest !== undefined) return { ...base, digest, text: `${host}/${repository}@${digest}` };
  return { ...base, text: `${host}/${repository}:${tag ?? "latest"}` };
}

/** Docker's rule: a first word with a dot or colon, or `localhost`, is a host. */
function splitHost(name: string): { host: string; repository: string } {
  const slash = name.indexOf("/");
  const first = slash === -1 ? "" : name.slice(0, slash);
  if (first === "localhost" || /[.:]/.test(first)) {
    return { host: first, repository: name.slice(slash + 1) };
  }
  const isOfficial = slash === -1;
  return { host: "docker.io", repository: isOfficial ? `library/${name}` : name };
}

function hasControlCharacter(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there.
  return /[\u0000-\u001f\u007f]/.test(text);
}

function invalid(text: string, why: string): MukonError {
  return new MukonError("IMAGE_REFERENCE_INVALID", `"${text}" is no image: ${why}`, {
    hint: "name one as busybox, debian:12, registry.example/team/app:1.0, oci:DIR, oci-archive:FILE or docker-archive:FILE",
  });
}
