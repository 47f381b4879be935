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

/** Of what a host can run out of: the code, and what to do, by the name of the system's error. */
const EXHAUSTED: Readonly<Record<string, { code: string; hint: string }>> = {
  ENOSPC: {
    code: "DISK_FULL",
    hint: "make room on the file system of /run or /var/lib/mukon: df -h /run; df -i /run",
  },
  EMFILE: {
    code: "FILES_EXHAUSTED",
    hint: "raise the limit of open files of the program that starts pods: LimitNOFILE= in its unit, ulimit -n in a shell",
  },
  ENFILE: {
    code: "FILES_EXHAUSTED",
    hint: "raise the host's limit of open files: sysctl fs.file-nr fs.file-max",
  },
  ENOMEM: {
    code: "MEMORY_EXHAUSTED",
    hint: "see what takes the host's memory, or the memory of the cgroup of what starts pods: free -m; systemd-cgtop -m",
  },
};

/** What to do about an error of the system's that says that something has run out. */
export function hintOfExhaustion(errorName: string): string | undefined {
  return EXHAUSTED[errorName]?.hint;
}

/**
 * The error itself when it is one of ours, else one that keeps it as its cause: `DISK_FULL`,
 * `FILES_EXHAUSTED`, `MEMORY_EXHAUSTED`, or `INTERNAL` for what nobody foresaw.
 */
export function asMukonError(error: unknown): MukonError {
  if (error instanceof MukonError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const errorName = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = EXHAUSTED[errorName];
  if (known === undefined) return new MukonError("INTERNAL", message, { cause: error });
  return new MukonError(known.code, message, { hint: known.hint, cause: error });
}

/** Plain text for people: message, code and hint, one line each. */
export function formatError(error: unknown): string {
  const known = asMukonError(error);
  const lines = [`${known.message} [${known.code}]`];
  if (known.hint !== undefined) lines.push(`  hint: ${known.hint}`);
  return lines.join("\n");
}
