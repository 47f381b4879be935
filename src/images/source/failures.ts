// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { RunResult } from "../../linux/run.ts";
import { full, tooLarge } from "../disk-guard.ts";

/** The step of a pull that failed; in `details.stage` of its error. */
export type Stage = "resolve" | "download" | "unpack" | "pack";

const SHOWN_LENGTH = 1000;

interface Rule {
  pattern: RegExp;
  code: string;
  what: string;
  hint: string;
}

/** What skopeo says (it has one exit code for all), and what that means; first match wins. */
const DOWNLOAD_RULES: readonly Rule[] = [
  {
    pattern: /unauthorized|authentication required|denied|forbidden|invalid username\/password/i,
    code: "IMAGE_PULL_DENIED",
    what: "the registry refuses it; it may be private, or not exist",
    hint: "check its name, or log in: skopeo login REGISTRY",
  },
  {
    pattern: /manifest unknown|name unknown|not found|repository name not known|status 404/i,
    code: "IMAGE_NOT_FOUND",
    what: "the registry has no such image",
    hint: "check the name and the tag",
  },
  {
    pattern: /no such file|does not exist|no image found in image index|no descriptor found/i,
    code: "IMAGE_NOT_FOUND",
    what: "there is no such image in it",
    hint: "check the path and the tag behind it",
  },
  {
    pattern: /no image found in manifest list|no matching (manifest|platform)|for architecture/i,
    code: "IMAGE_PLATFORM_MISSING",
    what: "it is not made for this machine's architecture",
    hint: "choose an image that is made for linux on this architecture",
  },
  {
    pattern:
      /connection refused|no such host|i\/o timeout|timeout|no route to host|unreachable|pinging|server misbehaving|certificate|tls|http: server gave HTTP/i,
    code: "IMAGE_REGISTRY_UNREACHABLE",
    what: "the registry does not answer as it should",
    hint: "check the network, the proxy settings (HTTPS_PROXY), and the registry's certificate",
  },
  {
    pattern: /more than one image|multiple images/i,
    code: "IMAGE_REFERENCE_INVALID",
    what: "it holds several images",
    hint: "name one of them: oci:DIR:tag, oci-archive:FILE:tag, docker-archive:FILE:name:tag",
  },
];

/** The error for a program that failed. */
export function stageFailure(stage: Stage, reference: string, result: RunResult): MukonError {
  const said = lastWords(result);
  const resource = resourceFailure(said, "the image store");
  if (resource !== undefined) return resource;
  const details = { stage, exitCode: result.code, signal: result.signal };
  if (stage === "resolve" || stage === "download") return downloadFailure(reference, said, details);
  return buildFailure(reference, said, details);
}

interface Details extends Record<string, unknown> {
  stage: Stage;
}

/** Of skopeo. */
function downloadFailure(reference: string, said: string, details: Details): MukonError {
  const rule = DOWNLOAD_RULES.find((entry) => entry.pattern.test(said));
  return new MukonError(
    rule?.code ?? "IMAGE_PULL_FAILED",
    `cannot fetch ${reference}: ${rule?.what ?? "skopeo failed"} (${said})`,
    { hint: rule?.hint ?? "see what skopeo says in the brackets", details },
  );
}

/** Of umoci and mkfs.erofs. */
function buildFailure(reference: string, said: string, details: Details): MukonError {
  const isUnpack = details.stage === "unpack";
  const code = isUnpack ? "IMAGE_UNPACK_FAILED" : "IMAGE_PACK_FAILED";
  const action = isUnpack ? "unpack the layers of" : "make the root file system of";
  const isIdOutOfRange = /l?chown.*invalid argument/i.test(said);
  return new MukonError(code, `cannot ${action} ${reference}: ${said}`, {
    hint: isIdOutOfRange
      ? "the image has files of users above 65535, which mukon does not unpack"
      : "the image may be damaged: pull it again, or build it again",
    details,
  });
}

function resourceFailure(said: string, place: string): MukonError | undefined {
  if (/no space left on device|quota exceeded/i.test(said)) return full(place);
  if (/file too large|file size limit/i.test(said)) return tooLarge("one file may have");
  return undefined;
}

/** The end of what a program printed, in one line, without what a terminal would act on. */
function lastWords(result: RunResult): string {
  const text = (result.stderr.trim() || result.stdout.trim()).slice(-SHOWN_LENGTH);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must go.
  const line = unwrapLogLine(text).replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
  if (line !== "") return line;
  return result.signal === null ? `exit code ${result.code}` : `killed by ${result.signal}`;
}

/** skopeo logs its last error as `time=… level=fatal msg="…"`: only the message counts. */
function unwrapLogLine(text: string): string {
  const quoted = /level=(?:fatal|error) msg=("(?:[^"\\]|\\.)*")\s*$/.exec(text)?.[1];
  return quoted === undefined ? text : quoted.slice(1, -1).replaceAll('\\"', '"');
}
