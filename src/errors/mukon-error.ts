// SPDX-License-Identifier: Apache-2.0

/** What a {@link MukonError} carries beside its message. */
export interface MukonErrorOptions {
  /** What the user can do next, as an imperative sentence. */
  hint?: string;
  /** Facts for machines: plain values only, no secrets. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

/**
 * Every failure that mukon reports: a stable `code` (see docs/errors.md), a message that says
 * what happened and why, and a hint that says what to do next.
 */
export class MukonError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: string, message: string, options: MukonErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MukonError";
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

/**
 * The error itself when it is one of ours, else one that keeps it as its cause: `DISK_FULL`, or
 * `INTERNAL` for what nobody foresaw.
 */
export function asMukonError(error: unknown): MukonError {
  if (error instanceof MukonError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && "code" in error && error.code === "ENOSPC") {
    const hint = "make room on the file system of /run or /var/lib/mukon: df -h /run; df -i /run";
    return new MukonError("DISK_FULL", message, { hint, cause: error });
  }
  return new MukonError("INTERNAL", message, { cause: error });
}

/** Plain text for people: message, code and hint, one line each. */
export function formatError(error: unknown): string {
  const known = asMukonError(error);
  const lines = [`${known.message} [${known.code}]`];
  if (known.hint !== undefined) lines.push(`  hint: ${known.hint}`);
  return lines.join("\n");
}
