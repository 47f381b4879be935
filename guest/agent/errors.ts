// SPDX-License-Identifier: Apache-2.0

/** The codes of google.rpc.Status that the agent answers with. */
export const Status = {
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
} as const;

export type StatusCode = (typeof Status)[keyof typeof Status];

/** A failure that the caller gets as a status with this code. */
export class AgentError extends Error {
  readonly status: StatusCode;

  constructor(status: StatusCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "AgentError";
    this.status = status;
  }
}

/** Any failure as one that can be answered: system errors keep their own words. */
export function asAgentError(error: unknown): AgentError {
  if (error instanceof AgentError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new AgentError(Status.internal, message, error);
}

export function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}
