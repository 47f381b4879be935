// SPDX-License-Identifier: Apache-2.0
import { MukonError, type MukonErrorOptions } from "../errors/mukon-error.ts";
import { StatusCode } from "./status.ts";

export interface TtrpcErrorOptions extends MukonErrorOptions {
  /** What the caller gets to see; default `UNKNOWN`. */
  status?: StatusCode;
}

/** A failed call. Thrown by a handler, its status, message and hint reach the caller. */
export class TtrpcError extends MukonError {
  readonly status: StatusCode;

  constructor(code: string, message: string, options: TtrpcErrorOptions = {}) {
    super(code, message, options);
    this.name = "TtrpcError";
    this.status = options.status ?? StatusCode.UNKNOWN;
  }
}

/** Whether a call failed with this status. */
export function hasStatus(error: unknown, status: StatusCode): boolean {
  return error instanceof TtrpcError && error.status === status;
}
