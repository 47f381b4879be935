// SPDX-License-Identifier: Apache-2.0
import { closeSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { asMukonError, type MukonError } from "../errors/mukon-error.ts";
import { openBayContent } from "./bay-content.ts";
import { KeeperClient } from "./keeper-client.ts";
import { withLastWords } from "./last-words.ts";
import { joinLate } from "./late-network.ts";
import { Loss } from "./loss.ts";
import { all, helpersCgroup, type Machine, type MachineDraft } from "./machine.ts";
import type { ExitedEvent, KeeperEvent, OomEvent } from "./messages/events.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";
import { Pod } from "./pod.ts";
import { PodDevices } from "./pod-devices.ts";
import { PodShares } from "./pod-shares.ts";
import { VMM_ROLE } from "./template/suspect.ts";
import { startUserNetwork, type UserNetwork, type UserNetworkPlan } from "./user-network.ts";
import { vmmUser } from "./vmm.ts";

const OWN_WORDS_MS = 300;
const BYTES_PER_MIB = 1024 * 1024;
/** A clone is there in a fraction of this, also on a machine that starts many at once. */
const CLONE_TIMEOUT_MS = { kvm: 20_000, tcg: 60_000 };
/**
 * Where `dial_timeout` is 0. Emulation takes ten times the processor that KVM takes, and guests that boot
 * at once share what the host has: ten of them on 2 cores need 36 s each.
 */
const BOOT_TIMEOUT_MS = { kvm: 45_000, tcg: 180_000 };

/** What happens in the guest, for whoever has asked for it. */
export type GuestListener = (event: ExitedEvent | OomEvent) => void;

/** Takes a machine over from those who started it: from here on its end is noticed. */
export function adoptMachine(
  draft: MachineDraft,
  machine: Machine,
  onEvent: GuestListener,
): { pod: Pod; loss: Loss } {
  const { key, journal, configuration, descriptors } = draft;
  const { control, descriptors: descriptorSocketFd } = machine.sockets.shim;
  descriptors.release(control);
  descriptors.release(descriptorSocketFd);
  // Ours are copies: while they are open, nobody sees that the other side has ended.
  descriptors.closeAll();
  const loss = new Loss();
  const keeper = new KeeperClient({
    control: new Socket({ fd: control }),
    descriptorSocketFd,
    onEvent: (event) => dispatch(event, loss, onEvent),
  });
  loss.watch(VMM_ROLE, machine.vmm);
  loss.watch("keeper", machine.keeper);
  const { networkHolder } = machine;
  // Without it, nobody would find the pod's network any more.
  if (networkHolder !== undefined) loss.watch("network holder", networkHolder);
  void loss.happened.then((error) => closeSoon(keeper, error));
  void keeper.closed.then(({ violation }) => violation !== undefined && loss.report(violation));
  const vmmPid = machine.vmm.pid;
  const shares = new PodShares({
    ...{ journal, keeper, loss, identity: machine.identity },
    settings: configuration.hypervisor.qemu,
    isMemoryShareable: machine.isMemoryShareable,
    cgroup: helpersCgroup(draft),
  });
  const devices = new PodDevices({
    ...{ vmmPid, keeper, cgroup: draft.cgroup, guestBytes: guestBytes(draft, machine) },
    owner: vmmUser(configuration.hypervisor.qemu, machine.identity),
    isAllowed: configuration.hypervisor.qemu.hotPlugVfio !== "no-port",
  });
  const parts = { key, journal, configuration, vmmPid, keeper, descriptorSocketFd, loss, shares };
  const pod = new Pod({
    ...{ ...parts, devices },
    networkHolderPid: networkHolder?.pid,
    joinNetwork: async () => {
      if (networkHolder === undefined) return;
      await unlessLost(joinLate(draft, networkHolder.pid, keeper), loss);
    },
  });
  return { pod, loss };
}

function guestBytes({ configuration, growth }: MachineDraft, machine: Machine): number {
  const { defaultMemory } = configuration.hypervisor.qemu;
  const { size } = statSync(machine.description.files.imagePath);
  return (defaultMemory + (growth?.memoryMib ?? 0)) * BYTES_PER_MIB + size;
}

/** Lets the guest run, and meanwhile starts what gives it a network in user mode, if it is to have one. */
export async function bootWithNetwork(
  draft: MachineDraft,
  making: {
    machine: Machine;
    adopted: { pod: Pod; loss: Loss };
    plan: UserNetworkPlan | undefined;
    descriptors: OwnedDescriptors;
  },
): Promise<UserNetwork | undefined> {
  const { machine, adopted, plan, descriptors } = making;
  const { loss } = adopted;
  const startPasst = async (): Promise<UserNetwork | undefined> => {
    if (plan === undefined) return undefined;
    const parts = { identity: machine.identity, loss, descriptors };
    return await draft.stages.run("passt", () => startUserNetwork(draft, plan, parts));
  };
  const [user] = await all<[UserNetwork | undefined, unknown]>(
    startPasst().catch((error: unknown) => {
      // Nobody need wait for a guest that is without its network.
      loss.report(asMukonError(error));
      throw error;
    }),
    bootGuest(draft, machine, adopted),
  );
  return user;
}

/** Lets the guest run and waits for its agent: GUEST_BOOT_FAILED, POD_ENDED and the keeper's. */
export async function bootGuest(
  draft: MachineDraft,
  machine: Machine,
  { pod, loss }: { pod: Pod; loss: Loss },
): Promise<void> {
  const { stages, configuration, growth } = draft;
  const isClone = machine.template !== undefined;
  const { accelerator } = machine.description;
  const bootTimeoutMs = configuration.agent.dialTimeout * 1000 || BOOT_TIMEOUT_MS[accelerator];
  const timeoutMs = isClone
    ? Math.min(CLONE_TIMEOUT_MS[accelerator], bootTimeoutMs)
    : bootTimeoutMs;
  // A guest on KVM finds a disk in no time; it is only emulated ones that wait for it.
  const bay = accelerator === "tcg" ? openBayContent(draft) : undefined;
  await stages.run(isClone ? "clone" : "boot", async () => {
    const growing = { extraMemoryMib: growth?.memoryMib ?? 0, extraVcpus: growth?.vcpus ?? 0 };
    const request = { timeoutMs, isClone, ...growing, bay: bay?.request };
    const boot = pod.keeper.boot(request, bay === undefined ? [] : [bay.descriptor]);
    try {
      const booted = await unlessLost(boot, loss);
      stages.add(booted.stages);
      if (booted.bay !== undefined) pod.noteBay(draft.bay, booted.bay);
    } catch (error) {
      throw await withLastWords(error, machine.vmm);
    } finally {
      if (bay !== undefined) closeSync(bay.descriptor);
    }
  });
}

/** Nobody is to wait, until a deadline, for an answer that a guest may not be able to give any more. */
async function closeSoon(keeper: KeeperClient, error: MukonError): Promise<void> {
  await delay(OWN_WORDS_MS);
  keeper.close(error);
}

/** The keeper's own error says more (the console's last lines), so it gets a moment to come. */
export async function unlessLost<Result>(work: Promise<Result>, loss: Loss): Promise<Result> {
  const lost = loss.happened.then(async (error) => {
    await delay(OWN_WORDS_MS);
    throw error;
  });
  lost.catch(() => {});
  return await Promise.race([work, lost]);
}

function dispatch(event: KeeperEvent, loss: Loss, onEvent: GuestListener): void {
  if (event.event === "lost") loss.reportLost(event);
  else onEvent(event);
}
