// SPDX-License-Identifier: Apache-2.0
import { closeSync, mkdirSync } from "node:fs";
import type { Configuration } from "../config/keys/registry.ts";
import { asMukonError, MukonError } from "../errors/mukon-error.ts";
import type { PodCgroup } from "../host/cgroups/pod-cgroup.ts";
import type { PodIdentity } from "../host/identity/types.ts";
import { KILLED_HINT } from "../host/jail/killed.ts";
import type { Journal } from "../host/journal/journal.ts";
import { removeDirectory } from "../host/journal/undo.ts";
import type { LaunchedProcess } from "../host/launcher/types.ts";
import { readSandboxState, toProcessRecord, writeSandboxState } from "../host/sandbox-state.ts";
import { findDaemon } from "../host/shared-fs/daemon.ts";
import { sharedFsJail, sharedFsLaunch } from "../host/shared-fs/launch.ts";
import type { OverlayLayers } from "../host/shared-fs/overlay.ts";
import { type SharedBind, SharedTree } from "../host/shared-fs/tree.ts";
import { awaitShutIn } from "../host/shared-fs/verify.ts";
import { killProcess } from "../linux/pidfd.ts";
import { connectedListener } from "../linux/unix-socket.ts";
import type { KeeperClient } from "./keeper-client.ts";
import { launchVerified } from "./launch-verified.ts";
import type { Loss } from "./loss.ts";

export interface PodSharesParts {
  identity: PodIdentity;
  journal: Journal;
  settings: Configuration["hypervisor"]["qemu"];
  /** Of the machine, which cannot be changed any more. */
  isMemoryShareable: boolean;
  keeper: Pick<KeeperClient, "attachSharedFs">;
  loss: Loss;
  /** For virtiofsd. */
  cgroup?: PodCgroup | undefined;
}

/**
 * What of the host a pod's guest sees through virtio-fs. Nothing of it is there until something is
 * to be shared: then the tree is made, virtiofsd is started, looked at, and only then connected.
 */
export class PodShares {
  readonly #parts: PodSharesParts;
  #tree: SharedTree | undefined;
  #started: Promise<SharedTree> | undefined;
  #isClosed = false;

  constructor(parts: PodSharesParts) {
    this.#parts = parts;
  }

  /**
   * Shows a file or directory of the host's to the guest, by a name that is new in this pod.
   * @throws SHARED_FS_OFF, VIRTIOFSD_MISSING, ID_MAP_UNSUPPORTED, SHARE_FAILED, CONFINEMENT_BROKEN and
   *   the other codes of a launch
   */
  async addBind(name: string, bind: SharedBind): Promise<void> {
    (await this.#ready()).addBind(name, bind);
  }

  /** Puts an overlay together for the guest. @throws as {@link addBind}, and OVERLAY_READ_ONLY */
  async addOverlay(name: string, layers: OverlayLayers): Promise<void> {
    const tree = await this.#ready();
    if (layers.upper?.isWorkNew === true) await this.#makeWork(layers.upper.work);
    tree.addOverlay(name, layers);
  }

  /** Takes away what was added under this name. */
  remove(name: string): void {
    if (!this.#isClosed) this.#tree?.remove(name);
  }

  /** What is mounted is undone by the journal. */
  close(): void {
    if (!this.#isClosed) this.#tree?.close();
    this.#isClosed = true;
  }

  async #makeWork(path: string): Promise<void> {
    this.#parts.journal.append({ type: "directory", path });
    // A pod that was not cleaned up may have left it.
    await removeDirectory(path);
    mkdirSync(path, { mode: 0o700 });
  }

  async #ready(): Promise<SharedTree> {
    this.#started ??= this.#start();
    const tree = await this.#started;
    if (this.#isClosed) throw new MukonError("POD_ENDED", "The pod is over.");
    return tree;
  }

  async #start(): Promise<SharedTree> {
    const { identity, journal, settings, keeper, loss, cgroup } = this.#parts;
    if (settings.sharedFs === "none") {
      throw new MukonError(
        "SHARED_FS_OFF",
        'nothing can be shared with the guest: shared_fs = "none"',
        {
          hint: 'set shared_fs = "virtio-fs" in [hypervisor.qemu]',
        },
      );
    }
    if (!this.#parts.isMemoryShareable) {
      throw new MukonError(
        "SHARED_FS_OFF",
        "the pod's memory is in part its template's, and cannot be given to virtiofsd",
        { hint: 'set template_memory = "copied" in [mukon]' },
      );
    }
    const daemon = await findDaemon(settings.virtioFsDaemon);
    const tree = await SharedTree.create(identity, journal);
    this.#tree = tree;
    if (this.#isClosed) tree.close();
    const { directory, userNamespace } = tree;
    const { listener, connection } = connectedListener(journal.directory);
    let launched: LaunchedProcess | undefined;
    try {
      const launch = sharedFsLaunch({
        ...{ identity, daemon, listener, userNamespace },
        jail: await sharedFsJail(daemon, { directory, identity }),
        settings: { cache: settings.virtioFsCache, extraArguments: settings.virtioFsExtraArgs },
      });
      // The one in C starts a thread before it switches its filter on.
      const seccomp = daemon.kind === "rust" ? "filter" : "main";
      launched = await launchVerified(launch, { journal, seccomp, cgroup });
      await awaitShutIn(launched.pid, directory);
      this.#record(launched);
      await keeper.attachSharedFs({ queueSize: settings.virtioFsQueueSize }, [connection]);
      loss.watch("virtiofsd", launched, { isServant: true });
      return tree;
    } catch (error) {
      const failure = withLastWords(error, launched);
      if (launched !== undefined) killProcess(launched, "SIGKILL");
      throw failure;
    } finally {
      closeSync(listener);
      closeSync(connection);
    }
  }

  #record(launched: LaunchedProcess): void {
    const { key } = this.#parts.journal;
    const state = readSandboxState(key);
    if (state === undefined) return;
    const processes = { ...state.processes, virtiofsd: toProcessRecord(launched) };
    writeSandboxState(key, { ...state, processes });
  }
}

function withLastWords(error: unknown, launched: LaunchedProcess | undefined): MukonError {
  const known = asMukonError(error);
  const said = launched?.stderrTail().trim().slice(-1000) ?? "";
  const { exitCode = null, signalCode = null } = launched?.child ?? {};
  if (exitCode !== null || signalCode !== null) {
    // To whoever waited for it, it has only hung up.
    const how = signalCode ?? `exit code ${exitCode}`;
    const words = said === "" ? "" : `: ${said}`;
    return new MukonError(
      "LAUNCH_FAILED",
      `virtiofsd ended (${how}) before its guest had it${words}`,
      {
        hint:
          signalCode === "SIGKILL"
            ? KILLED_HINT
            : (known.hint ?? "its words say why; see mukon check"),
        details: { role: "virtiofsd" },
        cause: error,
      },
    );
  }
  if (said === "") return known;
  return new MukonError(known.code, `${known.message}; virtiofsd said: ${said}`, {
    cause: error,
    ...(known.hint === undefined ? {} : { hint: known.hint }),
    ...(known.details === undefined ? {} : { details: known.details }),
  });
}
