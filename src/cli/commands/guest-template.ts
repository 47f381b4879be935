// SPDX-License-Identifier: Apache-2.0
import { type Command, Option } from "commander";
import type { TemplateManifest } from "../../sandbox/template/manifest.ts";
import { parseBytes, parseCount } from "../io/quantities.ts";
import { requireRoot } from "../io/root.ts";
import { printJson, printLine } from "../output/print.ts";
import { formatAge, formatBytes, formatTable } from "../output/table.ts";

/** 16 TiB */
const MOST_MEMORY_MIB = 2 ** 24;

interface BuildOptions {
  config?: string;
  memory?: string;
  cpus?: string;
  force?: boolean;
  inBackground?: boolean;
  machineVcpus?: string;
  machineMemory?: string;
}

/** `mukon guest template …` */
export function addGuestTemplateCommand(guest: Command): void {
  const template = guest.command("template").description("booted guests that pods are cloned from");
  template
    .command("build")
    .description("boot a guest, stop it and keep its state (done already: takes a moment)")
    .option("--config <file>", "configuration.toml to read")
    .option("--memory <size>", "as for pods run with this --memory")
    .option("--cpus <n>", "as for pods run with this --cpus")
    .option("--force", "make it again, even when there is one")
    .addOption(new Option("--in-background").hideHelp())
    .addOption(new Option("--machine-vcpus <n>").hideHelp())
    .addOption(new Option("--machine-memory <MiB>").hideHelp())
    .action(async (options: BuildOptions) => {
      requireRoot("guest template build");
      const { buildTemplateHere, buildUnasked } = await import("../container/templates.ts");
      const { memory, cpus, machineVcpus, machineMemory } = options;
      if (options.inBackground === true) {
        return buildUnasked({
          configurationPath: options.config,
          vcpus: parseCount("--machine-vcpus", machineVcpus ?? ""),
          memoryMib: parseCount("--machine-memory", machineMemory ?? "", MOST_MEMORY_MIB),
        });
      }
      const manifest = await buildTemplateHere({
        configurationPath: options.config,
        memoryBytes: memory === undefined ? undefined : parseBytes("--memory", memory),
        cpus: cpus === undefined ? undefined : parseCount("--cpus", cpus),
        isForced: options.force ?? false,
      });
      printLine(manifest.key);
    });
  addLs(template);
  addRm(template);
  addInfo(template);
}

function addLs(template: Command): void {
  template
    .command("ls")
    .description("list templates, the one that was of use last first")
    .option("--json", "as JSON")
    .action(async (options: { json?: boolean }) => {
      requireRoot("guest template ls");
      const { listedTemplates } = await import("../container/templates.ts");
      const listed = listedTemplates();
      if (options.json === true) return printJson(listed);
      const rows = listed.map(({ key, manifest }) => {
        if (manifest === undefined) return [key, "damaged", "", "", "", ""];
        const { createdAt, vcpus, memoryMib, inputs } = manifest;
        return [
          ...[key, formatAge(createdAt), String(vcpus), `${memoryMib} MiB`],
          ...[inputs.accelerator, formatBytes(sizeOf(manifest))],
        ];
      });
      printLine(formatTable(["TEMPLATE", "MADE", "CPUS", "MEMORY", "ACCELERATOR", "SIZE"], rows));
    });
}

function addRm(template: Command): void {
  template
    .command("rm")
    .description("remove templates; pods that were cloned from them run on")
    .argument("[templates...]")
    .option("--all", "all of them")
    .action(async (keys: string[], options: { all?: boolean }) => {
      requireRoot("guest template rm");
      const { removeTemplates } = await import("../container/templates.ts");
      for (const key of removeTemplates(keys, options.all ?? false)) printLine(key);
    });
}

function addInfo(template: Command): void {
  template
    .command("info")
    .description("how pods begin, and whether the template they begin from is whole")
    .argument("[template]", "default: the one for pods of the configuration in force")
    .option("--config <file>", "configuration.toml to read")
    .option("--json", "as JSON")
    .action(async (key: string | undefined, options: { config?: string; json?: boolean }) => {
      requireRoot("guest template info");
      const { templateInfo } = await import("../container/templates.ts");
      const info = await templateInfo({ key, configurationPath: options.config });
      if (options.json === true) return printJson(info);
      const { manifest, ...facts } = info;
      const more =
        manifest === undefined
          ? {}
          : {
              made: formatAge(manifest.createdAt),
              machine: `${manifest.vcpus} CPUs, ${manifest.memoryMib} MiB, ${manifest.inputs.accelerator}`,
              qemu: manifest.qemuVersion,
              size: formatBytes(sizeOf(manifest)),
              "sha256 of state": manifest.state.sha256,
              "sha256 of memory": manifest.memory.sha256,
            };
      const rows = Object.entries({ ...facts, ...more }).map(([name, value]) => [
        name,
        String(value),
      ]);
      printLine(formatTable(["FACT", "VALUE"], rows));
    });
}

/** What it takes on disk. */
function sizeOf({ state, memory }: TemplateManifest): number {
  return state.usedBytes + memory.usedBytes;
}
