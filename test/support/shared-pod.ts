// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openGuest } from "../../guest/image/open.ts";
import { DEFAULT_MOUNTS } from "../../src/guest-protocol/oci/docker-defaults.ts";
import type { OciMount } from "../../src/guest-protocol/oci-spec.ts";
import { readSandboxState, type SandboxState } from "../../src/host/sandbox-state.ts";
import { run } from "../../src/linux/run.ts";
import type { PodWorld } from "./pod-world.ts";
import { Bundle, FakeContainerd, runShim, ShimClient } from "./shim-client.ts";

export interface RootfsMount {
  type: string;
  source: string;
  options: string[];
}

/** A pod that containerd's overlayfs and native snapshotters would have made. */
export class SharedPod {
  /** On a file system that can map ids and keeps extended attributes. */
  readonly disk = mkdtempSync("/var/tmp/mukon-t-");
  readonly #world: PodWorld;
  #containerd: FakeContainerd | undefined;
  readonly #shims: ShimClient[] = [];
  #outputs = 0;

  constructor(world: PodWorld) {
    this.#world = world;
  }

  get state(): SandboxState {
    const state = readSandboxState("test..pod");
    assert.ok(state, "the pod has no state");
    return state;
  }

  /** Files of the built-in image, as root's. */
  async unpackImage(name: string): Promise<string> {
    const target = join(this.disk, name);
    await run(["fsck.erofs", `--extract=${target}`, (await openGuest()).busyboxPath]);
    return target;
  }

  /** Layers as the overlayfs snapshotter names them. */
  async overlay(lower: readonly string[]): Promise<{ upper: string; mount: RootfsMount }> {
    const upper = join(this.disk, "snapshot", "fs");
    const work = join(this.disk, "snapshot", "work");
    for (const path of [upper, work]) mkdirSync(path, { recursive: true });
    const options = [`lowerdir=${lower.join(":")}`, `upperdir=${upper}`, `workdir=${work}`];
    return {
      upper,
      mount: { type: "overlay", source: "overlay", options: ["index=off", ...options] },
    };
  }

  async start(
    id: string,
    container: { rootfs: RootfsMount[]; mounts: OciMount[]; isSandbox?: boolean },
  ): Promise<ShimClient> {
    this.#containerd ??= await FakeContainerd.listen(this.#world.directory);
    const bundle = new Bundle(this.#world.directory, id, ["sleep", "1000"], {
      mounts: [...DEFAULT_MOUNTS, ...container.mounts],
      annotations: {
        "io.kubernetes.cri.container-type": container.isSandbox === true ? "sandbox" : "container",
        "io.kubernetes.cri.sandbox-id": "pod",
      },
    });
    const call = { directory: bundle.directory, id, containerd: this.#containerd };
    const output = await runShim(call, "start");
    assert.equal(output.code, 0, output.stderr);
    const shim = await ShimClient.connect(bundle.address);
    this.#shims.push(shim);
    await shim.create(bundle, {}, container.rootfs);
    await shim.start(id);
    return shim;
  }

  /** Runs a script in a container; its output and exit status. */
  async inside(id: string, script: string): Promise<string> {
    const [shim] = this.#shims;
    assert.ok(shim);
    this.#outputs += 1;
    const execId = `e${this.#outputs}`;
    const bundle = Object.assign(Object.create(Bundle.prototype) as Bundle, {
      directory: join(this.#world.directory, id),
    });
    const output = await bundle.output(`output-${execId}`);
    const args = ["sh", "-c", `exec 2>&1; ${script}\necho "rc=$?"`];
    await shim.exec(id, execId, args, { stdout: output.path });
    await shim.start(id, execId);
    await shim.wait(id, execId);
    await shim.delete(id, execId);
    return await output.ended;
  }

  async remove(id: string): Promise<void> {
    const [shim] = this.#shims;
    await shim?.kill(id, 9);
    await shim?.wait(id);
    await shim?.delete(id);
    await shim?.shutdown(id);
  }

  close(): void {
    for (const shim of this.#shims) shim.close();
    this.#containerd?.close();
    rmSync(this.disk, { recursive: true, force: true });
  }
}

export function bind(source: string, destination: string, ...options: string[]): OciMount {
  return { source, destination, type: "bind", options: ["rbind", "rprivate", ...options] };
}
