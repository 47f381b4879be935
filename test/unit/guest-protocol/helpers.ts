// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { type OciSpec, parseOciSpec } from "../../../src/guest-protocol/oci-spec.ts";

/** The least a container needs. */
export const MINIMAL = { ociVersion: "1.1.0", process: { args: ["sh"], cwd: "/" } };

/** A checked spec: the minimal one with these members over it. */
export function specWith(members: Readonly<Record<string, unknown>>): OciSpec {
  return parseOciSpec(JSON.stringify({ ...MINIMAL, ...members }));
}

/** For assert.throws: an error with this code whose message has all the texts. */
export function fails(code: string, ...texts: string[]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof MukonError)) throw error;
    const isExpected = error.code === code && texts.every((text) => error.message.includes(text));
    if (!isExpected) throw new Error(`got: [${error.code}] ${error.message}`);
    return true;
  };
}
