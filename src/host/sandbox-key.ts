// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";

/** The namespace of mukon's own command line. */
export const OWN_NAMESPACE = "mukon";

/** A file name (at most 255 bytes), never hidden, never `.` or `..`. */
const KEY = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;

/**
 * The name of a sandbox on this host: `id` in mukon's own namespace, else `<namespace>..<id>`;
 * containerd's identifiers never have two dots in a row.
 * @throws SANDBOX_KEY_INVALID
 */
export function sandboxKey(sandbox: { namespace: string; id: string }): string {
  const { namespace, id } = sandbox;
  if (id.includes("..") || namespace.includes("..") || namespace === "") {
    throw invalid(`${namespace}/${id}`);
  }
  const key = namespace === OWN_NAMESPACE ? id : `${namespace}..${id}`;
  assertSandboxKey(key);
  return key;
}

/** @throws SANDBOX_KEY_INVALID unless it is fit for a directory's name */
export function assertSandboxKey(key: string): void {
  if (!KEY.test(key)) throw invalid(key);
}

function invalid(name: string): MukonError {
  return new MukonError("SANDBOX_KEY_INVALID", `${JSON.stringify(name)} cannot name a sandbox`, {
    hint: "use letters, digits, single dots, _ and -, and begin with a letter or digit",
  });
}
