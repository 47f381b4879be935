// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { containerIds } from "../../src/cli/container/store.ts";
import { ID_BLOCK_SIZE } from "../../src/host/identity/types.ts";
import { readSandboxState, type SandboxState } from "../../src/host/sandbox-state.ts";
import { type MukonOptions, mukon, type Outcome } from "./mukon.ts";
import { findLeftovers } from "./pod-leftovers.ts";

/** How pods start, also where the machine has a template: see scripts/run-tests.mjs. */
export const ARE_CLONED = process.env.MUKON_TEST_START === "cloned";
const BUILT = join(import.meta.dirname, "..", "..", "dist");

type Value = string | number | boolean | string[];
/** Tables of configuration.toml, by name. */
export type Settings = Record<string, Record<string, Value>>;

/** Ids that pods are given where nothing else is configured. */
const DEFAULT_START = 0x7000_0000;
const DEFAULT_BLOCKS = (0x7ffd_0000 - DEFAULT_START) / ID_BLOCK_SIZE;
/** Ids that no pod of a usual configuration has. */
const APART = { start: 0x5000_0000, blocks: 4096 };

export interface WorldOptions {
  /** How many pods there are ids for. Default 16. */
  blocks?: number;
  /** No pod outside of tests may be mistaken for one of this world: its ids lie elsewhere. */
  isApart?: boolean;
  settings?: Settings;
}

/**
 * A run root, a configuration and a range of host ids of its own: pods in it neither meet those of
 * others, nor could something that they leave be mistaken for somebody else's. One at a time: the
 * functions of `src` look at it too.
 */
export class PodWorld {
  readonly directory: string;
  readonly runRoot: string;
  /** First id, inclusive, and last one, exclusive. */
  readonly ids: { start: number; end: number };
  readonly #executables: string;
  #expected: string[] = [];

  constructor(options: WorldOptions = {}) {
    // Short, as the path of a socket is; others may pass, as they must reach published programs.
    this.directory = mkdtempSync("/run/mukon-t-");
    chmodSync(this.directory, 0o711);
    this.runRoot = join(this.directory, "r");
    mkdirSync(this.runRoot, { mode: 0o711 });
    this.#executables = mkdtempSync(join(tmpdir(), "mukon-t-"));
    chmodSync(this.#executables, 0o711);
    const blocks = options.blocks ?? 16;
    const [first, count] =
      options.isApart === true ? [APART.start, APART.blocks] : [DEFAULT_START, DEFAULT_BLOCKS];
    const start = first + randomInt(count - blocks) * ID_BLOCK_SIZE;
    this.ids = { start, end: start + blocks * ID_BLOCK_SIZE };
    process.env.MUKON_RUN_ROOT = this.runRoot;
    process.env.MUKON_CONFIG = join(this.directory, "configuration.toml");
    this.configure(options.settings ?? {});
  }

  /** Replaces the configuration. */
  configure(settings: Settings): void {
    this.configuration("configuration.toml", settings);
  }

  /** Another configuration, for whoever names its file. */
  configuration(name: string, settings: Settings): string {
    const mukon = { id_range_start: this.ids.start, id_range_end: this.ids.end, ...settings.mukon };
    const factory = { enable_template: ARE_CLONED, ...settings.factory };
    return this.write(name, formatSettings({ ...settings, mukon, factory }));
  }

  /** Writes a file below the world's directory, for root alone unless `mode` says otherwise. */
  write(name: string, content: string | Buffer, mode = 0o600): string {
    const path = join(this.directory, name);
    writeFileSync(path, content, { mode });
    chmodSync(path, mode);
    return path;
  }

  /** A script that everybody may execute; not below /run, which Debian mounts `noexec`. */
  executable(name: string, script: string | Buffer): string {
    const path = join(this.#executables, name);
    writeFileSync(path, script);
    chmodSync(path, 0o755);
    return path;
  }

  /** A directory of programs as they were built, but for those that are given. */
  programs(others: Record<string, string>): string {
    const directory = mkdtempSync(join(this.directory, "programs-"));
    chmodSync(directory, 0o711);
    for (const name of readdirSync(BUILT)) {
      const link = join(directory, name);
      const other = others[name];
      if (other === undefined) symlinkSync(join(BUILT, name), link);
      else writeFileSync(link, other, { mode: 0o644 });
    }
    return directory;
  }

  /** `mukon run -d ARGS…`; its state once it runs. */
  async start(name: string, args: readonly string[], options: MukonOptions = {}): Promise<Pod> {
    const outcome = await mukon(["run", "-d", "--name", name, ...args], options);
    assert.equal(outcome.code, 0, outcome.stderr);
    const id = outcome.stdout.trim();
    const state = readSandboxState(id);
    assert.ok(state?.identity && state.processes.vmm && state.processes.keeper, "half a state");
    const { vmm, keeper, shim } = state.processes;
    return {
      ...{ id, state, outcome, identity: state.identity },
      ...{ vmmPid: vmm.pid, keeperPid: keeper.pid, shimPid: shim.pid },
    };
  }

  /** A start that must fail, for the reason that `pattern` matches, and leave nothing. */
  async assertRefused(
    args: readonly string[],
    pattern: RegExp,
    options: MukonOptions = {},
  ): Promise<Outcome> {
    const outcome = await mukon(["run", "--rm", ...args, "busybox", "true"], options);
    assert.equal(outcome.code, 125, `${outcome.stdout}${outcome.stderr}`);
    assert.match(outcome.stderr, pattern);
    await this.assertNothingLeft();
    return outcome;
  }

  /** What runs now is to stay: from here on it is not left behind. */
  keepWhatIsThere(): void {
    this.#expected = findLeftovers(this).sort();
  }

  /** Waits (bounded): some clean-up ends a moment after its command. */
  async assertNothingLeft(timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = findLeftovers(this).sort();
      if (isDeepStrictEqual(found, this.#expected)) return;
      if (Date.now() > deadline) assert.deepEqual(found, this.#expected, "not as it was before");
      await sleep(100);
    }
  }

  /** After pods that were made to fail: their template, which others are clones of, may be gone. */
  async restoreTemplate(): Promise<void> {
    if (!ARE_CLONED) return;
    const { code, stderr } = await mukon(["guest", "template", "build"]);
    assert.equal(code, 0, stderr);
  }

  /** Removes all containers that are here, also those of a test that failed, then the world. */
  async end(): Promise<void> {
    this.#expected = [];
    try {
      for (const id of containerIds()) await mukon(["rm", "--force", id]);
      await this.assertNothingLeft();
    } finally {
      for (const path of [this.directory, this.#executables]) {
        rmSync(path, { recursive: true, force: true });
      }
    }
  }
}

export interface Pod {
  id: string;
  outcome: Outcome;
  state: SandboxState;
  identity: NonNullable<SandboxState["identity"]>;
  vmmPid: number;
  keeperPid: number;
  shimPid: number;
}

/** Its VMM uses KVM, and is not given it as a descriptor. */
export function opensKvm({ state }: Pod): boolean {
  return state.accelerator === "kvm" && state.kvmAccess !== "descriptor";
}

function formatSettings(settings: Settings): string {
  const tables = Object.entries(settings).map(([name, keys]) => {
    // What these kinds of values look like in JSON, they look like in TOML.
    const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
    return `[${name}]\n${lines.join("\n")}\n`;
  });
  return tables.join("\n");
}
