// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { guestDirectory } from "../../src/linux/paths.ts";
import { templateSandboxKey } from "../../src/sandbox/template/build.ts";
import { mukon } from "./mukon.ts";
import { PodWorld, type Settings } from "./pod-world.ts";

/** Small, so that a state is small; every test of templates uses the same. */
export const MEMORY_MIB = 512;

/** A world whose templates are its own, and whose guest is everybody's. */
export class TemplateWorld extends PodWorld {
  readonly #stateRoot = process.env.MUKON_STATE_ROOT;

  constructor(settings: Settings = {}) {
    const guest = guestDirectory();
    super({ settings: { "hypervisor.qemu": { default_memory: MEMORY_MIB }, ...settings } });
    const state = join(this.directory, "state");
    mkdirSync(state, { mode: 0o700 });
    symlinkSync(guest, join(state, "guest"));
    process.env.MUKON_STATE_ROOT = state;
  }

  /** Makes the template for pods of the configuration; its key. */
  async build(...options: string[]): Promise<string> {
    const { code, stdout, stderr } = await mukon(["guest", "template", "build", ...options]);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  }

  /** Whatever the way is in which other tests' pods start. */
  override configure(settings: Settings): void {
    super.configure({ ...settings, factory: { enable_template: true, ...settings.factory } });
  }

  override async end(): Promise<void> {
    await super.end();
    if (this.#stateRoot === undefined) delete process.env.MUKON_STATE_ROOT;
    else process.env.MUKON_STATE_ROOT = this.#stateRoot;
  }

  sandboxOf(key: string): string {
    return templateSandboxKey(key);
  }
}
