// SPDX-License-Identifier: Apache-2.0
import { canLandlock } from "../launcher/landlock.ts";
import type { CheckResult } from "./types.ts";

/** One wall more, which pods do without where it is missing: that is nothing to be mended. */
export function checkLandlock(canConfine: () => boolean = canLandlock): CheckResult {
  const name = "landlock";
  if (canConfine()) return { name, status: "ok", message: "confines every jail once more" };
  const message = "not used: it takes Landlock in the kernel, and setpriv of util-linux 2.41";
  return { name, status: "ok", message };
}
