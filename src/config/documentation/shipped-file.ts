// SPDX-License-Identifier: Apache-2.0
import { SECTIONS, SETTINGS, type Setting } from "../keys/registry.ts";
import { formatTomlValue } from "../show.ts";

const COMMENT_WIDTH = 96;

/** Written out rather than left to the default: what an administrator looks for first. */
const SHOWN_SETTINGS: readonly string[] = [
  "hypervisor.qemu.rootless",
  "hypervisor.qemu.enable_annotations",
];

/** config/configuration.toml: settings that have an effect, with their defaults, explained. */
export function renderShippedFile(): string {
  const lines = [
    "# SPDX-License-Identifier: Apache-2.0",
    "# Made by scripts/generate-configuration-docs.ts out of src/config/keys.",
    "# Settings are those of Kata Containers; every line that is commented out shows the default.",
    "# Do not edit a packaged copy: put changes into config.d/*.toml beside it.",
  ];
  for (const section of SECTIONS) {
    const settings = SETTINGS.filter(
      (setting) => setting.section === section && setting.definition.effect === "active",
    );
    if (settings.length === 0) continue;
    lines.push("", `# ${section.about}`, `[${section.name}]`);
    for (const setting of settings) lines.push(...renderSetting(setting));
  }
  return `${lines.join("\n")}\n`;
}

function renderSetting(setting: Setting): string[] {
  const { about, kind, default: value } = setting.definition;
  const isShown = SHOWN_SETTINGS.includes(setting.dottedKey);
  return [
    "",
    ...wrapped(`${about.replaceAll("`", "")} Accepts ${kind.accepts}.`),
    `${isShown ? "" : "# "}${setting.tomlName} = ${formatTomlValue(value)}`,
  ];
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > COMMENT_WIDTH) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
