// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, ftruncateSync } from "node:fs";
import type { Configuration } from "../../config/keys/registry.ts";
import { MukonError } from "../../errors/mukon-error.ts";
import { withLock } from "../../linux/lock.ts";
import { copyExtents } from "../../linux/sparse-file.ts";
import type { Logger } from "../../logging/logger.ts";
import { qemuVersion } from "../../vmm/qemu/version.ts";
import { adoptMachine, bootGuest, unlessLost } from "../boot-guest.ts";
import { guestFiles } from "../guest-files.ts";
import { type Machine, type MachineDraft, startMachine } from "../machine.ts";
import { OwnedDescriptors } from "../owned-descriptors.ts";
import type { Pod } from "../pod.ts";
import { openPodJournal, tearDownOwn } from "../pod-journal.ts";
import { Stages } from "../stages.ts";
import { chooseAccelerator } from "../vmm.ts";
import { forgetFailure } from "./failures.ts";
import { isCurrent, type TemplateInputs, templateInputs, templateKey } from "./inputs.ts";
import type { TemplateManifest } from "./manifest.ts";
import {
  beginTemplate,
  discardDraft,
  listTemplates,
  openedBy,
  publishTemplate,
  readTemplate,
  removeTemplate,
  type TemplateDraft,
  templateLock,
} from "./store.ts";
import { WarmUp } from "./warm-up.ts";

const SAVE_TIMEOUT_MS = 120_000;
/** Somebody else may be making several, under emulation. */
const LOCK_TIMEOUT_MS = 300_000;
const NAMESPACE = "template";
/** A clone copies fewer, larger parts the quicker; smaller gaps are kept as zeros. */
const GAP_BYTES = 64 * 1024;

export interface BuildTemplateRequest {
  configuration: Configuration;
  /** Make it again, even if there is one. */
  isForced: boolean;
  log: Logger;
  /** How long somebody else may be making one. Default: five minutes. */
  lockTimeoutMs?: number;
}

/** The name of the sandbox that a template is made in. */
export function templateSandboxKey(key: string): string {
  return `${NAMESPACE}..${key}`;
}

/**
 * Makes the template for pods of this configuration, unless it is there: boots a guest, confined as
 * a pod's is, in a sandbox of its own, stops it, and saves its state. Nothing of any pod is known
 * here. Whatever happens, nothing of the sandbox is left.
 */
export async function buildTemplate(request: BuildTemplateRequest): Promise<TemplateManifest> {
  const inputs = await inputsFor(request.configuration);
  return await withLock(
    templateLock(),
    async () => {
      const known = request.isForced ? undefined : knownTemplate(templateKey(inputs));
      return known ?? (await makeTemplate(request, inputs));
    },
    { timeoutMs: request.lockTimeoutMs ?? LOCK_TIMEOUT_MS },
  );
}

/** Key of the template for pods of this configuration, whether there is one or not. */
export async function keyFor(configuration: Configuration): Promise<string> {
  return templateKey(await inputsFor(configuration));
}

async function inputsFor(configuration: Configuration): Promise<TemplateInputs> {
  const settings = configuration.hypervisor.qemu;
  const files = await guestFiles(settings);
  const { accelerator, kvmAccess } = await chooseAccelerator(configuration, files);
  return templateInputs({ settings, files, accelerator, kvmAccess });
}

function knownTemplate(key: string): TemplateManifest | undefined {
  try {
    return readTemplate(key);
  } catch {
    return undefined;
  }
}

async function makeTemplate(
  request: BuildTemplateRequest,
  inputs: TemplateInputs,
): Promise<TemplateManifest> {
  const { defaultVcpus: vcpus, defaultMemory: memoryMib } = request.configuration.hypervisor.qemu;
  const key = templateKey(inputs);
  const draft = beginTemplate();
  try {
    await saveBootedGuest(request, key, draft);
    const createdAt = new Date().toISOString();
    const version = await qemuVersion(request.configuration.hypervisor.qemu.path);
    forgetFailure(key);
    return await publishTemplate(draft, {
      ...{ key, createdAt, vcpus, memoryMib, inputs, qemuVersion: version },
    });
  } catch (error) {
    discardDraft(draft);
    throw error;
  } finally {
    openedBy(draft).forEach(closeSync);
  }
}

/**
 * When this resolves, the VMM and the keeper, which could write to the state, are gone. The memory is
 * taken after that.
 */
async function saveBootedGuest(
  request: BuildTemplateRequest,
  key: string,
  draft: TemplateDraft,
): Promise<void> {
  const machineDraft = await beginMachine(request, key, draft);
  let pod: Pod | undefined;
  let memory: number | undefined;
  try {
    const machine = await startMachine(machineDraft);
    memory = machine.memory;
    assertSame(key, machine);
    const warmUp = new WarmUp();
    const adopted = adoptMachine(machineDraft, machine, warmUp.listener);
    pod = adopted.pod;
    await bootGuest(machineDraft, machine, adopted);
    await machineDraft.stages.run("warm-up", () =>
      unlessLost(warmUp.run(adopted.pod), adopted.loss),
    );
    const saving = pod.keeper.saveState({ timeoutMs: SAVE_TIMEOUT_MS }, [draft.state]);
    await machineDraft.stages.run("save", () => unlessLost(saving, adopted.loss));
    await pod.destroy({ isStopped: true });
    if (memory !== undefined) await saveMemory(memory, draft.memory);
  } finally {
    if (memory !== undefined) closeSync(memory);
    if (pod !== undefined) await pod.destroy({ isStopped: true });
    else {
      machineDraft.descriptors.closeAll();
      machineDraft.journal.close();
      await tearDownOwn(machineDraft.key);
    }
  }
}

async function saveMemory(from: number, to: number): Promise<void> {
  ftruncateSync(to, fstatSync(from).size);
  await copyExtents(from, to, GAP_BYTES);
}

/** A guest or a QEMU that was replaced meanwhile would give its state to another one's name. */
function assertSame(key: string, { description }: Machine): void {
  if (templateKey(templateInputs(description)) === key) return;
  throw new MukonError(
    "TEMPLATE_REFUSED",
    "QEMU or the guest's files changed under the template.",
    {
      hint: "Try again when that is done: mukon guest template build",
    },
  );
}

async function beginMachine(
  request: BuildTemplateRequest,
  key: string,
  draft: TemplateDraft,
): Promise<MachineDraft> {
  const sandboxKey = templateSandboxKey(key);
  return {
    key: sandboxKey,
    configuration: request.configuration,
    journal: await openPodJournal(sandboxKey),
    descriptors: new OwnedDescriptors(),
    stages: new Stages(),
    log: request.log,
    about: { id: key, namespace: NAMESPACE, bundle: draft.directory },
    bay: "blank",
    keepsMemory: true,
  };
}

/** Removes templates that nothing fits any more; with `count`, also all but those of use last. */
export async function removeStaleTemplates(count = Number.MAX_SAFE_INTEGER): Promise<void> {
  await withLock(templateLock(), () => {
    const [stale, usable] = [listTemplates().filter(isStale), listTemplates()];
    const old = usable.filter((key) => !stale.includes(key)).slice(count);
    for (const key of [...stale, ...old]) removeTemplate(key);
  });
}

function isStale(key: string): boolean {
  try {
    const manifest = readTemplate(key);
    return manifest !== undefined && !isCurrent(manifest.inputs);
  } catch {
    return true;
  }
}
