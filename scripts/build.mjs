// SPDX-License-Identifier: Apache-2.0
// Bundles each program into one file: a bare Node starts in 60 to 100 ms, imports cost more.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./lib/bundle.mjs";

await bundle(join(dirname(dirname(fileURLToPath(import.meta.url))), "dist"));
