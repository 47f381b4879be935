// SPDX-License-Identifier: Apache-2.0
import { run } from "../../linux/run.ts";

const TIMEOUT_MS = 5_000;

/** Names of ids, from wherever this host keeps them; those without one are missing. */
export async function resolveNames(
  database: "passwd" | "group",
  ids: readonly number[],
): Promise<Map<number, string>> {
  const wanted = [...new Set(ids)].map(String);
  if (wanted.length === 0) return new Map();
  const argv = ["getent", database, ...wanted];
  const { stdout } = await run(argv, { allowFailure: true, timeoutMs: TIMEOUT_MS });
  const names = new Map<number, string>();
  for (const line of stdout.split("\n")) {
    const [name, , id] = line.split(":");
    if (name !== undefined && id !== undefined) names.set(Number(id), name);
  }
  return names;
}
