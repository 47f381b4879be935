// SPDX-License-Identifier: Apache-2.0
import { openGuest } from "../../../guest/image/open.ts";
import { MukonError } from "../../errors/mukon-error.ts";
import {
  DEFAULT_CAPABILITIES,
  DEFAULT_MOUNTS,
  MASKED_PATHS,
  READONLY_PATHS,
} from "../../guest-protocol/oci/docker-defaults.ts";
import type { OciSpec } from "../../guest-protocol/oci-spec.ts";
import type { GuestListener } from "../boot-guest.ts";
import type { Pod } from "../pod.ts";

/** The second time, the agent's functions are compiled; a third finds little left to do. */
const ROUNDS = 2;
const NAME = "warm-up";
const TIMEOUT_MS = 60_000;

/**
 * Has a guest do once what every clone of it will do: plug a disk in, mount it, run a container to its
 * end. Modules are loaded then, functions compiled, programs in memory. It is mukon's own image that is
 * run, with nothing of anybody's, and all of it is taken away again.
 */
export class WarmUp {
  #onEnd: (status: number) => void = () => {};

  /** To be called with what happens in the guest. */
  readonly listener: GuestListener = (event) => {
    if (event.event === "exited") this.#onEnd(event.status);
  };

  /** @throws TEMPLATE_REFUSED when the container does not do what it should, and the keeper's errors */
  async run(pod: Pod): Promise<void> {
    const { busyboxPath } = await openGuest();
    const { keeper } = pod;
    await keeper.prepareSandbox({ sandboxId: NAME, hostname: "localhost", dns: [] });
    const disk = await pod.attachDisk(busyboxPath, { readOnly: true });
    for (let round = 1; round <= ROUNDS; round++) {
      await this.#runContainer(pod, `${NAME}-${round}`, disk.source);
    }
    await keeper.detachDisk({ diskId: disk.diskId });
  }

  async #runContainer({ keeper }: Pod, containerId: string, source: string): Promise<void> {
    const ended = new Promise<number>((done) => {
      this.#onEnd = done;
    });
    await keeper.createContainer({
      ...{ containerId, spec: { ...SPEC }, layers: [{ source }], timeoutMs: TIMEOUT_MS },
      stdio: { terminal: false, stdin: false, stdout: false, stderr: false },
    });
    await keeper.startContainer({ containerId });
    const status = await ended;
    await keeper.removeContainer({ containerId });
    if (status === 0) return;
    throw new MukonError(
      "TEMPLATE_REFUSED",
      `A container in the template's guest ended with ${status}, not 0.`,
      { hint: "See whether the guest is whole: mukon guest build --force" },
    );
  }
}

const SPEC: OciSpec = {
  ociVersion: "1.1.0",
  process: {
    terminal: false,
    user: { uid: 0, gid: 0, additionalGids: [] },
    args: ["echo", "warm"],
    env: ["PATH=/bin"],
    cwd: "/",
    capabilities: {
      bounding: DEFAULT_CAPABILITIES,
      effective: DEFAULT_CAPABILITIES,
      permitted: DEFAULT_CAPABILITIES,
    },
    noNewPrivileges: false,
  },
  root: { path: "rootfs", readonly: false },
  hostname: "localhost",
  mounts: DEFAULT_MOUNTS,
  linux: {
    namespaces: ["pid", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
    cgroupsPath: `/mukon/${NAME}`,
    maskedPaths: MASKED_PATHS,
    readonlyPaths: READONLY_PATHS,
  },
};
