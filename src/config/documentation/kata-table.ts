// SPDX-License-Identifier: Apache-2.0
import { annotationOf, ROOTLESS_ANNOTATIONS } from "../annotations/names.ts";
import { KATA_ONLY_ANNOTATIONS, REFUSED_ANNOTATIONS } from "../keys/kata-annotations.ts";
import { KATA_ONLY_KEYS, KATA_ONLY_SECTIONS, REFUSED_KEYS } from "../keys/kata-only.ts";
import { SECTIONS, SETTINGS, type Setting } from "../keys/registry.ts";

const BEGIN = "<!-- begin of what scripts/generate-configuration-docs.ts writes -->";
const END = "<!-- end of what scripts/generate-configuration-docs.ts writes -->";
/** Settings in Kata's tables that Kata does not have. */
const OWN_KEYS: readonly string[] = [
  "hypervisor.qemu.accelerator",
  "hypervisor.qemu.valid_asset_paths",
];

/** What becomes of a setting or annotation. */
export type Support = "yes" | "no effect" | "refused" | "mukon's own";

/** docs/compatibility.md with its tables of Kata's settings as they are now. */
export function withKataTables(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`the page lacks ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${renderKataTables()}\n${page.slice(end)}`;
}

function renderKataTables(): string {
  const sections = SECTIONS.map(
    ({ name }) => `### [${name}]\n\n${table("setting", settingRows(name))}`,
  );
  const other = `Whole tables without effect: ${KATA_ONLY_SECTIONS.map((name) => `[${name}]`).join(", ")}.\n`;
  return [...sections, other, `### Annotations\n\n${table("annotation", annotationRows())}`].join(
    "\n",
  );
}

type Row = readonly [name: string, support: Support, note: string];

function table(what: string, rows: readonly Row[]): string {
  const lines = rows.map(([name, support, note]) => `| \`${name}\` | ${support} | ${note} |`);
  return `${[`| ${what} | mukon | |`, "|---|---|---|", ...lines].join("\n")}\n`;
}

function settingRows(section: string): Row[] {
  const own = SETTINGS.filter((setting) => setting.section.name === section).map(settingRow);
  const others = (KATA_ONLY_KEYS[section] ?? []).map((name): Row => {
    const missing = REFUSED_KEYS[`${section}.${name}`];
    return missing === undefined
      ? [name, "no effect", ""]
      : [name, "refused", `asks for ${missing}`];
  });
  return [...own, ...others];
}

function settingRow(setting: Setting): Row {
  const aliases = setting.definition.aliases ?? [];
  const also = aliases.map((alias) => `also \`${alias}\``);
  if (setting.definition.effect === "accepted") {
    return [setting.tomlName, "no effect", [...also, "checked"].join("; ")];
  }
  const isOwn = setting.section.name === "mukon" || OWN_KEYS.includes(setting.dottedKey);
  return [setting.tomlName, isOwn ? "mukon's own" : "yes", also.join("; ")];
}

function annotationRows(): Row[] {
  const own = SETTINGS.flatMap((setting): Row[] => {
    const name = annotationOf(setting);
    if (name === undefined || ROOTLESS_ANNOTATIONS.includes(name)) return [];
    const isActive = setting.definition.effect === "active";
    return [[name, isActive ? "yes" : "no effect", isActive ? "" : "checked"]];
  });
  const refused = Object.entries(REFUSED_ANNOTATIONS).map(
    ([name, missing]): Row => [name, "refused", `asks for ${missing}`],
  );
  return [
    ...ROOTLESS_ANNOTATIONS.map((name): Row => [name, "yes", ""]),
    ...own,
    ...KATA_ONLY_ANNOTATIONS.map((name): Row => [name, "no effect", ""]),
    ...refused,
  ];
}
