// SPDX-License-Identifier: Apache-2.0
// Writes docs/configuration.md, config/configuration.toml and the tables of Kata's settings in
// docs/compatibility.md out of the table of settings.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withKataTables } from "../src/config/documentation/kata-table.ts";
import { renderConfigurationPage } from "../src/config/documentation/page.ts";
import { renderShippedFile } from "../src/config/documentation/shipped-file.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const files = {
  "docs/configuration.md": renderConfigurationPage(),
  "config/configuration.toml": renderShippedFile(),
  "docs/compatibility.md": withKataTables(
    readFileSync(join(root, "docs/compatibility.md"), "utf8"),
  ),
};
for (const [name, text] of Object.entries(files)) {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
