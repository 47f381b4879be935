// SPDX-License-Identifier: Apache-2.0
import { writeSync } from "node:fs";
import { formatError } from "../errors/mukon-error.ts";
import { noteProcessStart } from "../logging/moments.ts";
import { parseShimArguments } from "./arguments.ts";
import { deleteLeftovers, printDeleted } from "./clean-up/delete.ts";
import { printInfo } from "./info.ts";
import { serve } from "./serve.ts";

/** All that needs more than `start` does; see start.ts. */
/** What the pod's users have to read of what is made for them; all that is secret has a mode of its own. */
const UMASK = 0o022;

async function main(): Promise<void> {
  // Whoever started us may have a stricter one, behind which no jail could be entered.
  process.umask(UMASK);
  const options = parseShimArguments(process.argv.slice(2));
  switch (options.verb) {
    case "serve":
      noteProcessStart("shim");
      serve(options);
      return;
    case "delete":
      await deleteLeftovers(options);
      printDeleted();
      return;
    case "info":
      printInfo();
      return;
    default:
      return;
  }
}

main().catch((error: unknown) => {
  writeSync(2, `${formatError(error)}\n`);
  process.exit(1);
});
