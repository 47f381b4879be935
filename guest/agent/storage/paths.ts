// SPDX-License-Identifier: Apache-2.0
import { isAbsolute, normalize } from "node:path";
import { AgentError, Status } from "../errors.ts";

/** Where the host may have things mounted; all else is the agent's or the image's. */
const ALLOWED_ROOTS = ["/run/kata-containers", "/run/user", "/run/mukon"];

/** @throws AgentError unless the path is plain, absolute and below one of the allowed directories */
export function checkGuestPath(path: string, what: string): string {
  const isPlain =
    isAbsolute(path) && normalize(path).replace(/\/$/, "") === path.replace(/\/$/, "");
  const isAllowed = ALLOWED_ROOTS.some((root) => path.startsWith(`${root}/`));
  if (isPlain && isAllowed && !path.includes("\0")) return path.replace(/\/$/, "");
  throw new AgentError(
    Status.invalidArgument,
    `${what} ${JSON.stringify(path.slice(0, 200))} is not below ${ALLOWED_ROOTS.join(" or ")}`,
  );
}
