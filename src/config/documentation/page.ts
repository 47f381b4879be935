// SPDX-License-Identifier: Apache-2.0
import { annotationOf } from "../annotations/names.ts";
import { KATA_ONLY_KEYS, KATA_ONLY_SECTIONS } from "../keys/kata-only.ts";
import { SECTIONS, SETTINGS, type Section, type Setting } from "../keys/registry.ts";
import { formatTomlValue } from "../show.ts";

const INTRODUCTION = `# Configuration

<!-- Made by scripts/generate-configuration-docs.ts out of src/config/keys; do not edit. -->

mukon reads Kata Containers' \`configuration.toml\`: the same tables, the same names. The file is
the first of these:

1. the path given (\`mukon --config FILE\`, or \`ConfigPath\` in containerd's runtime options), or else the
   text given (\`ConfigBody\` in these options);
2. \`MUKON_CONFIG\`, then \`KATA_CONF_FILE\`, in the environment;
3. \`/etc/mukon/configuration.toml\`;
4. \`/usr/share/mukon/configuration.toml\`;
5. none: the defaults below.

A file that is named but missing is an error. Kata's own files in \`/etc/kata-containers\` are not
read unless named. Then every file in \`config.d/\` beside the file found (symbolic links followed)
is read in the order of their names, hidden ones apart; a later file wins key by key, and a list
replaces the former list.

\`mukon config show --origin\` prints each setting in force and where it came from.

- An unknown setting is a warning that names the nearest known one.
- A wrong type or value is an error with file, line and the accepted values.
- A setting of Kata's that mukon does not have is a warning, unless it is off or empty. All such settings
  of a file are one list, with their lines; [compatibility.md](compatibility.md) has a table of them.
- Settings marked "no effect yet" are checked, and in that list when they differ from the default.
- A setting or annotation that asks for a protection which mukon does not have (a confidential guest, a
  policy, a hash) is an error: \`CONFIG_UNSUPPORTED\`, \`ANNOTATION_UNSUPPORTED\`.
- Kata's own file can be used as it is. Where it names the guest that came with Kata
  (\`…/share/kata-containers/…\`), mukon's own guest is used, as Kata's speaks vsock; where it names
  programs of Kata's that are not installed, the defaults are. Each is a warning.
- A file that every user may write to is refused.

## Annotations

A pod may change a setting by the annotation named with it. Annotations that begin with
\`io.katacontainers.config.hypervisor.\` must match \`enable_annotations\`, else the pod is refused;
a path among them must match the list of patterns named with it. Two spellings switch the rootless
VMM on: \`io.katacontainers.config.hypervisor.rootless\` and \`io.katacontainers.hypervisor.rootless\`.
Set to \`"true"\` they need no permission, as they make the pod stricter; \`"false"\` is refused
unless \`enable_annotations\` matches \`rootless\`. If a pod has both, \`"true"\` wins.

## Size of a guest

Memory is \`default_memory\` plus the memory limit; CPUs are \`default_vcpus\` plus quota divided by
period, rounded up. The limits are the container's own when it is not part of a Kubernetes pod, else
the sums that containerd notes in the pod's annotations. \`default_maxmemory\` and
\`default_maxvcpus\` are the upper bounds.
`;

/** docs/configuration.md */
export function renderConfigurationPage(): string {
  return [INTRODUCTION, ...SECTIONS.map(renderSection), renderKataOnly()].join("\n");
}

function renderSection(section: Section): string {
  const settings = SETTINGS.filter((setting) => setting.section === section);
  return [`## [${section.name}]\n\n${section.about}\n`, ...settings.map(renderSetting)].join("\n");
}

function renderSetting(setting: Setting): string {
  const { definition } = setting;
  const lines = [
    `### ${setting.tomlName}\n`,
    definition.about,
    "",
    `- Accepts: ${definition.kind.accepts}.`,
    `- Default: \`${formatTomlValue(definition.default)}\``,
  ];
  if (definition.aliases !== undefined) {
    lines.push(`- Also called: ${definition.aliases.map((alias) => `\`${alias}\``).join(", ")}`);
  }
  const annotation = annotationOf(setting);
  if (annotation !== undefined) {
    const list = definition.annotation?.globs;
    const rule = list === undefined ? "" : ` (must match \`${list}\`)`;
    lines.push(`- Annotation: \`${annotation}\`${rule}`);
  }
  if (definition.effect === "accepted") lines.push("- No effect yet.");
  return `${lines.join("\n")}\n`;
}

function renderKataOnly(): string {
  const tables = Object.entries(KATA_ONLY_KEYS).map(
    ([table, keys]) => `- [${table}]: ${keys.map((key) => `\`${key}\``).join(", ")}`,
  );
  return [
    "## Known to Kata, without effect in mukon\n",
    ...tables,
    `- whole tables: ${KATA_ONLY_SECTIONS.map((name) => `[${name}]`).join(", ")}`,
    "",
  ].join("\n");
}
