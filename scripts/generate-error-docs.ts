// SPDX-License-Identifier: Apache-2.0
// Writes docs/errors.md out of the tables of error codes.
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { renderErrorsPage } from "../src/errors/page.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
writeFileSync(join(root, "docs", "errors.md"), renderErrorsPage());
