// SPDX-License-Identifier: Apache-2.0
import { create } from "@bufbuild/protobuf";
import { asMukonError, type MukonError } from "../errors/mukon-error.ts";
import { type Status, StatusSchema } from "../generated/ttrpc/ttrpc_pb.ts";
import { asStatusCode, StatusCode } from "./status.ts";
import { TtrpcError } from "./ttrpc-error.ts";

/** Code, hint and details of a MukonError, as JSON, beside the text that every client shows. */
const DETAILS_TYPE = "dev.mukon.Error";
/** A call with this among its metadata is by a client that knows them. */
export const DETAILS_METADATA = { key: "dev.mukon.errors", value: "details" };
const MAX_MESSAGE_CHARACTERS = 16 * 1024;
const MAX_DETAILS_BYTES = 64 * 1024;

/**
 * A failure as it goes over the wire. Only clients that know mukon's errors get all of it: containerd 2
 * adds a complaint about a type that it does not know to the text that its user sees.
 */
export function toStatus(error: unknown, options: { isDetailed: boolean }): Status {
  const known = asMukonError(error);
  const status = error instanceof TtrpcError ? error.status : StatusCode.UNKNOWN;
  const hint = known.hint === undefined ? "" : ` (${known.hint})`;
  return create(StatusSchema, {
    // A failure must never look like success.
    code: status === StatusCode.OK ? StatusCode.UNKNOWN : status,
    message: `${known.message} [${known.code}]${hint}`.slice(0, MAX_MESSAGE_CHARACTERS),
    details: options.isDetailed ? encodeDetails(known) : [],
  });
}

/**
 * The error that a status stands for. Code and hint are taken over only from a side that is
 * trusted: they speak to the user in mukon's name.
 */
export function fromStatus(status: Status, options: { isTrusted: boolean }): TtrpcError {
  const code = asStatusCode(status.code);
  const message = printable(status.message) || `status ${code}`;
  const known = options.isTrusted ? decodeDetails(status) : undefined;
  if (known === undefined) return new TtrpcError("CALL_FAILED", message, { status: code });
  const { code: name, message: text, hint, details } = known;
  return new TtrpcError(name, text, { status: code, hint, details });
}

/** Text of the other side ends up in logs and terminals: no control characters, bounded. */
export function printable(text: string): string {
  return text.slice(0, MAX_MESSAGE_CHARACTERS).replace(/[^\P{Cc}\n\t]/gu, "\ufffd");
}

/** None when the details are no plain data or too long: the message has to do. */
function encodeDetails(error: MukonError): { typeUrl: string; value: Buffer }[] {
  const { code, message, hint, details } = error;
  try {
    const value = Buffer.from(toJson({ code, message, hint, details }));
    return value.length > MAX_DETAILS_BYTES ? [] : [{ typeUrl: DETAILS_TYPE, value }];
  } catch {
    return [];
  }
}

function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? String(item) : item));
}

interface ErrorDetails {
  code: string;
  message: string;
  hint?: string;
  details?: Record<string, unknown>;
}

function decodeDetails(status: Status): ErrorDetails | undefined {
  const found = status.details.find((detail) => detail.typeUrl === DETAILS_TYPE);
  if (found === undefined || found.value.length > MAX_DETAILS_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(found.value).toString("utf8"));
  } catch {
    return undefined;
  }
  return isErrorDetails(value) ? value : undefined;
}

function isErrorDetails(value: unknown): value is ErrorDetails {
  if (typeof value !== "object" || value === null) return false;
  const { code, message, hint, details } = value as Record<string, unknown>;
  return (
    typeof code === "string" &&
    /^[A-Z][A-Z0-9_]{0,63}$/.test(code) &&
    typeof message === "string" &&
    (hint === undefined || typeof hint === "string") &&
    (details === undefined || (typeof details === "object" && details !== null))
  );
}
