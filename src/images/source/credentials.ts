// SPDX-License-Identifier: Apache-2.0
import { existsSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import { readBounded } from "../read-bounded.ts";

const MAX_FILE_BYTES = 1024 * 1024;
const AuthFile = v.object({ auths: v.optional(v.record(v.string(), v.unknown())) });
/** Docker Hub's entry keeps the address of an older protocol; containers-auth.json(5). */
const HUB_KEY = "https://index.docker.io/v1/";

/**
 * The text of a containers-auth.json(5) with the logins of one registry and no other: whoever
 * takes over the downloader gets no more than that. Undefined when there is none.
 * @throws CREDENTIALS_INVALID
 */
export function credentialsFor(
  host: string,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const path = authFiles(env).find((file) => existsSync(file));
  if (path === undefined) return undefined;
  const auths = readAuths(path);
  const kept = Object.entries(auths).filter(
    ([key]) => key === host || key.startsWith(`${host}/`) || (isHub(host) && key === HUB_KEY),
  );
  return kept.length === 0 ? undefined : JSON.stringify({ auths: Object.fromEntries(kept) });
}

/** In the order of skopeo-login(1). */
function authFiles(env: NodeJS.ProcessEnv): string[] {
  const given = env.REGISTRY_AUTH_FILE;
  if (given !== undefined && given !== "") return [given];
  const home = env.HOME ?? homedir();
  const runtime = env.XDG_RUNTIME_DIR ?? "/run/user/0";
  return [
    join(runtime, "containers/auth.json"),
    "/run/containers/0/auth.json",
    join(env.XDG_CONFIG_HOME ?? join(home, ".config"), "containers/auth.json"),
    join(env.DOCKER_CONFIG ?? join(home, ".docker"), "config.json"),
  ];
}

function isHub(host: string): boolean {
  return host === "docker.io";
}

function readAuths(path: string): Record<string, unknown> {
  const fail = (why: string): never => {
    throw new MukonError("CREDENTIALS_INVALID", `${path}, with logins of registries, ${why}`, {
      hint: "repair or remove it, then log in again: skopeo login REGISTRY",
    });
  };
  const bytes = readBounded(realpathSync(path), MAX_FILE_BYTES) ?? fail("cannot be read");
  try {
    return v.parse(AuthFile, JSON.parse(bytes.toString("utf8"))).auths ?? {};
  } catch {
    return fail("is not as containers-auth.json(5) says");
  }
}
