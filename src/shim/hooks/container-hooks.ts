// SPDX-License-Identifier: Apache-2.0
import type { OciHook, OciHooks } from "../../guest-protocol/oci/hooks.ts";
import type { OciSpec } from "../../guest-protocol/oci-spec.ts";
import type { Logger } from "../../logging/logger.ts";
import { type HookState, runHook } from "./run-hook.ts";

type Moment = keyof OciHooks;
type Log = Pick<Logger, "warn">;

interface Parts {
  id: string;
  bundle: string;
  spec: Pick<OciSpec, "hooks" | "ociVersion" | "annotations">;
  log: Log;
}

/** What of a spec's hooks is run on the host; the others would have to be the guest's. */
const ON_HOST: readonly Moment[] = ["prestart", "createRuntime", "poststart", "poststop"];

/**
 * The hooks of one container, at the moments of its life that the OCI runtime specification names
 * (`runtime.md#lifecycle`). They are the client's programs, who is root: they run as the shim does.
 */
export class ContainerHooks {
  readonly #parts: Parts;
  #isBegun = false;
  #isOver = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Programs of the client's are to be run, which may look for a network namespace. */
  get areAny(): boolean {
    return ON_HOST.some((moment) => this.#of(moment).length > 0);
  }

  /**
   * The pod is there, the container is not.
   * @param pid of a process in a network namespace that they may change; none: there is none, and the
   *   VMM's, which is to stay empty, is not one
   * @throws HOOK_FAILED of the first that fails: there is to be no container then
   */
  async onCreate(pid: number | undefined): Promise<void> {
    this.#isBegun = true;
    for (const moment of ["prestart", "createRuntime"] as const) {
      for (const hook of this.#of(moment)) {
        await runHook(moment, hook, this.#state("creating", pid));
      }
    }
  }

  /** Its first process has been started; the pid as in {@link onCreate}. */
  async onStarted(pid: number | undefined): Promise<void> {
    await this.#tryAll("poststart", this.#state("running", pid));
  }

  /** All of it has gone, or has never been made whole. Once only. */
  async onDeleted(): Promise<void> {
    if (!this.#isBegun || this.#isOver) return;
    this.#isOver = true;
    await this.#tryAll("poststop", this.#state("stopped"));
  }

  /** The same after a shim that was killed: nobody knows how far it had come. */
  async onFoundDead(): Promise<void> {
    this.#isBegun = true;
    await this.onDeleted();
  }

  async #tryAll(moment: Moment, state: HookState): Promise<void> {
    for (const hook of this.#of(moment)) {
      await runHook(moment, hook, state).catch((error: unknown) => {
        this.#parts.log.warn("a hook has failed; it changes nothing for the container", {
          containerId: state.id,
          error,
        });
      });
    }
  }

  #of(moment: Moment): readonly OciHook[] {
    return this.#parts.spec.hooks?.[moment] ?? [];
  }

  #state(status: HookState["status"], pid?: number): HookState {
    const { id, bundle, spec } = this.#parts;
    const { ociVersion, annotations = {} } = spec;
    return { ociVersion, id, status, ...(pid === undefined ? {} : { pid }), bundle, annotations };
  }
}

/** A sentence for hooks that nobody runs. */
export function unheardHooks({ hooks }: Pick<OciSpec, "hooks">): string[] {
  const names = Object.entries(hooks ?? {})
    .filter(([name, list]) => list.length > 0 && !(ON_HOST as readonly string[]).includes(name))
    .map(([name]) => name);
  if (names.length === 0) return [];
  return [`hooks are not run (${names.join(", ")}): they are for the container's own surroundings`];
}
