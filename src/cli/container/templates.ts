// SPDX-License-Identifier: Apache-2.0
import { applyAnnotations } from "../../config/annotations/apply.ts";
import type { Configuration } from "../../config/keys/registry.ts";
import { loadConfiguration } from "../../config/load.ts";
import type { LoadedConfiguration } from "../../config/origin.ts";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { createLogger, type Logger } from "../../logging/logger.ts";
import { tearDownOwn } from "../../sandbox/pod-journal.ts";
import { divideSize } from "../../sandbox/pod-size.ts";
import {
  buildTemplate,
  keyFor,
  removeStaleTemplates,
  templateSandboxKey,
} from "../../sandbox/template/build.ts";
import { buildInBackground } from "../../sandbox/template/in-background.ts";
import { mayUseTemplate } from "../../sandbox/template/inputs.ts";
import type { TemplateManifest } from "../../sandbox/template/manifest.ts";
import { type TemplateMemory, templateMemory } from "../../sandbox/template/sharing.ts";
import {
  listTemplates,
  readTemplate,
  removeTemplate,
  verifyTemplate,
} from "../../sandbox/template/store.ts";
import { qemuVersion } from "../../vmm/qemu/version.ts";
import { printNote } from "../output/print.ts";

const CPU_PERIOD_US = 100_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface BuildTemplateOptions {
  configurationPath: string | undefined;
  /** Limits of a pod's container, as `mukon run` takes them. */
  memoryBytes: number | undefined;
  cpus: number | undefined;
  isForced: boolean;
}

/**
 * Makes the template for pods of these sizes.
 * @throws TEMPLATE_REFUSED when they would not use one
 */
export async function buildTemplateHere(options: BuildTemplateOptions): Promise<TemplateManifest> {
  const configuration = await configurationFor(options);
  const key = await keyFor(configuration);
  const stop = endOnSignals(key);
  try {
    const manifest = await buildTemplate({
      configuration,
      isForced: options.isForced,
      log: quietLog(),
    });
    await removeStaleTemplates();
    return manifest;
  } finally {
    stop();
  }
}

/** For a shim whose pod had to boot: the sizes are those of the machine that it was given. */
export async function buildUnasked(machine: {
  configurationPath: string | undefined;
  vcpus: number;
  memoryMib: number;
}): Promise<void> {
  const loaded = await loadConfiguration({ path: machine.configurationPath });
  if (!mayUseTemplate(loaded)) return;
  const { qemu } = loaded.configuration.hypervisor;
  const size = { defaultVcpus: machine.vcpus, defaultMemory: machine.memoryMib };
  const configuration = {
    ...loaded.configuration,
    hypervisor: { qemu: { ...qemu, ...size } },
  };
  const stop = endOnSignals(await keyFor(configuration));
  try {
    await buildInBackground({ configuration, isForced: false, log: quietLog() });
  } finally {
    stop();
  }
}

async function configurationFor(options: BuildTemplateOptions): Promise<Configuration> {
  const { memoryBytes, cpus } = options;
  const loaded = await loadConfiguration({ path: options.configurationPath });
  const applied = applyAnnotations(
    loaded,
    {},
    {
      memoryLimitBytes: memoryBytes,
      ...(cpus === undefined
        ? {}
        : { cpuQuota: Math.round(cpus * CPU_PERIOD_US), cpuPeriod: CPU_PERIOD_US }),
    },
  );
  // What a pod has beyond the configured size is plugged into a clone of the same template.
  if (mayUseTemplate(applied)) return divideSize(loaded, applied).applied.configuration;
  throw new MukonError("TEMPLATE_REFUSED", `No pod would use it: ${whyNone(applied)}.`, {
    hint: "See where the setting comes from: mukon config show --origin",
  });
}

function whyNone({ configuration }: LoadedConfiguration): string {
  if (!configuration.factory.enableTemplate) return "[factory] enable_template is false";
  if (configuration.hypervisor.qemu.enableHugepages) {
    return "[hypervisor.qemu] enable_hugepages is true";
  }
  return "[hypervisor.qemu] rootless is false";
}

/** Says what went wrong, but not how it goes. */
function quietLog(): Logger {
  return createLogger({
    component: "template",
    sink: (line) => {
      if (/"level":"(warn|error)"/.test(line)) printNote(line);
    },
  });
}

/** Told to end, it takes the half-made guest along; the half-made template is the next one's to remove. */
function endOnSignals(key: string): () => void {
  const end = (signal: NodeJS.Signals): void => {
    void tearDownOwn(templateSandboxKey(key)).finally(() => {
      stop();
      process.kill(process.pid, signal);
    });
  };
  const stop = (): void => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return stop;
}

export interface ListedTemplate {
  key: string;
  /** None: it is damaged. */
  manifest?: TemplateManifest;
}

export function listedTemplates(): ListedTemplate[] {
  return listTemplates().map((key) => {
    try {
      const manifest = readTemplate(key);
      return { key, ...(manifest === undefined ? {} : { manifest }) };
    } catch {
      return { key };
    }
  });
}

/** @throws TEMPLATE_UNKNOWN */
export function removeTemplates(keys: readonly string[], isAll: boolean): string[] {
  if (isAll) return listTemplates().filter((key) => removeTemplate(key));
  if (keys.length === 0) {
    throw new MukonError("USAGE", "name the templates to remove, or give --all");
  }
  return keys.map((key) => {
    if (removeTemplate(key)) return key;
    throw new MukonError("TEMPLATE_UNKNOWN", `There is no template ${key}.`, {
      hint: "See them all: mukon guest template ls",
    });
  });
}

/** What `mukon guest template info` says. */
export interface TemplateInfo {
  /** Whether pods of the configuration in force would begin from a template. */
  enabled: boolean;
  /** Whether clones share the template's pages until they write to them. */
  memory: TemplateMemory;
  template: string;
  state: "whole" | "none" | "damaged";
  problem?: string;
  manifest?: TemplateManifest;
}

export async function templateInfo(options: {
  key: string | undefined;
  configurationPath: string | undefined;
}): Promise<TemplateInfo> {
  const loaded = await loadConfiguration({ path: options.configurationPath });
  const applied = applyAnnotations(loaded, {}, {});
  const template = options.key ?? (await keyFor(applied.configuration));
  const { configuration } = applied;
  const version = await qemuVersion(configuration.hypervisor.qemu.path);
  const memory = templateMemory(configuration, version);
  const about = { enabled: mayUseTemplate(applied), memory, template };
  try {
    const manifest = readTemplate(template);
    if (manifest === undefined) return { ...about, state: "none" };
    await verifyTemplate(template);
    return { ...about, state: "whole", manifest };
  } catch (error) {
    if (asMukonError(error).code !== "TEMPLATE_DAMAGED") throw error;
    return { ...about, state: "damaged", problem: asMukonError(error).message };
  }
}
