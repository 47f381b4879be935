// SPDX-License-Identifier: Apache-2.0
import { asMukonError } from "../../errors/mukon-error.ts";
import { StatusCode } from "../../ttrpc/status.ts";
import { TtrpcError } from "../../ttrpc/ttrpc-error.ts";

/** containerd acts on some statuses: these codes have one of their own, all others are "unknown". */
const STATUSES: Readonly<Record<string, StatusCode>> = {
  TASK_NOT_FOUND: StatusCode.NOT_FOUND,
  PROCESS_UNKNOWN: StatusCode.NOT_FOUND,
  TASK_EXISTS: StatusCode.ALREADY_EXISTS,
  PROCESS_EXISTS: StatusCode.ALREADY_EXISTS,
  SANDBOX_EXISTS: StatusCode.ALREADY_EXISTS,
  TASK_STATE: StatusCode.FAILED_PRECONDITION,
  PROCESS_STATE: StatusCode.FAILED_PRECONDITION,
  POD_NOT_RUNNING: StatusCode.FAILED_PRECONDITION,
  POD_ENDED: StatusCode.UNAVAILABLE,
  KEEPER_CLOSED: StatusCode.UNAVAILABLE,
  KEEPER_TIMEOUT: StatusCode.DEADLINE_EXCEEDED,
  GUEST_CALL_TIMEOUT: StatusCode.DEADLINE_EXCEEDED,
  CALL_UNSUPPORTED: StatusCode.UNIMPLEMENTED,
  STDIO_UNSUPPORTED: StatusCode.INVALID_ARGUMENT,
  ROOTFS_UNSUPPORTED: StatusCode.INVALID_ARGUMENT,
  VOLUME_UNSUPPORTED: StatusCode.INVALID_ARGUMENT,
  SHARED_FS_OFF: StatusCode.FAILED_PRECONDITION,
  VIRTIOFSD_MISSING: StatusCode.FAILED_PRECONDITION,
  ID_MAP_UNSUPPORTED: StatusCode.FAILED_PRECONDITION,
  BUNDLE_INVALID: StatusCode.INVALID_ARGUMENT,
  OCI_SPEC_INVALID: StatusCode.INVALID_ARGUMENT,
  OCI_PROCESS_INVALID: StatusCode.INVALID_ARGUMENT,
  RUNTIME_OPTIONS_INVALID: StatusCode.INVALID_ARGUMENT,
};

/** Any failure as the answer to a call. */
export function toTtrpcError(error: unknown): TtrpcError {
  if (error instanceof TtrpcError) return error;
  const { code, message, hint, details } = asMukonError(error);
  return new TtrpcError(code, message, {
    status: STATUSES[code] ?? StatusCode.UNKNOWN,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
    ...(details === undefined ? {} : { details }),
  });
}
