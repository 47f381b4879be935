// SPDX-License-Identifier: Apache-2.0
// Builds the guest without the rest of mukon: scripts/build-guest.ts [AGENT_BUNDLE [OUTPUT_ROOT]]
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildGuest } from "../guest/image/build.ts";
import { formatError } from "../src/errors/mukon-error.ts";
import { guestDirectory } from "../src/linux/paths.ts";

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
const agentBundle = process.argv[2] ?? join(repository, "dist", "agent.cjs");
const outputRoot = process.argv[3] ?? guestDirectory();

try {
  const log = (line: string): void => console.error(line);
  const manifest = await buildGuest({ outputRoot, agentBundle, log });
  console.log(join(outputRoot, manifest.contentHash));
} catch (error) {
  console.error(`error: ${formatError(error)}`);
  process.exitCode = 1;
}
