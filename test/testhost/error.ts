// SPDX-License-Identifier: Apache-2.0

/** A failure of the test host itself, with what to do next. */
export class TestHostError extends Error {
  readonly hint: string | undefined;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TestHostError";
    this.hint = options.hint;
  }
}
