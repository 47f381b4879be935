// SPDX-License-Identifier: Apache-2.0
// What a jail's program cannot do even with a directory of the host that it should never have had.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { programJail } from "../../../src/host/jail/program-jail.ts";
import { canLandlock } from "../../../src/host/launcher/landlock.ts";
import { launchConfined } from "../../../src/host/launcher/launch.ts";
import { dropTool } from "../../../src/host/launcher/tools.ts";
import type { StdioSlot } from "../../../src/host/launcher/types.ts";
import { leavesNoTrace, SKIP_UNLESS_ROOT } from "./support.ts";

const ID = 0x6000_0003;
const LEAKED = "/proc/self/fd/3";
const GIVEN = "/proc/self/fd/4";
const READ = (path: string): string => `read -r line <${path} && echo "$line"`;
const WRITE = (path: string): string => `echo more >>${path} && echo written`;

const skip =
  SKIP_UNLESS_ROOT ||
  (canLandlock() ? false : "neither kernel nor setpriv (util-linux 2.41) have Landlock here");

describe("Landlock", { skip }, () => {
  leavesNoTrace();
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "mukon-landlock-"));
    // Whatever else could refuse: nothing here does.
    chmodSync(directory, 0o777);
    for (const name of ["leaked", "given", "shared"]) {
      mkdirSync(join(directory, name));
      chmodSync(join(directory, name), 0o777);
      writeFileSync(join(directory, name, "file"), `in ${name}\n`);
      chmodSync(join(directory, name, "file"), 0o666);
    }
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  /** What a shell says to a command; it has a directory as 3, and a file for reading as 4. */
  async function ask(
    command: string,
    start: (stdio: StdioSlot[]) => Promise<ChildProcess>,
  ): Promise<string> {
    const paths = [join(directory, "leaked"), join(directory, "given", "file")];
    const descriptors = paths.map((path) => openSync(path, "r"));
    try {
      const child = await start(["pipe", "pipe", "ignore", ...descriptors]);
      const chunks: Buffer[] = [];
      child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
      child.stdin?.end(`(${command}) 2>&1\n`);
      await once(child, "close");
      return Buffer.concat(chunks).toString().trim();
    } finally {
      for (const descriptor of descriptors) closeSync(descriptor);
    }
  }

  async function inJail(stdio: StdioSlot[]): Promise<ChildProcess> {
    const shared = { directory: join(directory, "shared"), at: "/shared" };
    const jail = { ...(await programJail("/bin/sh", [])), shared };
    const ids = { uid: ID, gid: ID, groups: [] };
    return (await launchConfined({ role: "shell", argv: ["/bin/sh"], ...ids, stdio, jail })).child;
  }

  /** The same user, who has nothing but file modes in the way. */
  async function outside(stdio: StdioSlot[]): Promise<ChildProcess> {
    const ids = ["--reuid", String(ID), "--regid", String(ID), "--clear-groups"];
    return spawn(dropTool(), [...ids, "--nnp", "--", "/bin/sh"], { stdio, env: {}, cwd: "/" });
  }

  it("makes a directory that has leaked into a jail worthless", async () => {
    const attempts = [
      ...[READ(`${LEAKED}/file`), WRITE(`${LEAKED}/file`), `echo x >${LEAKED}/new && echo made`],
      `for name in ${LEAKED}/*; do echo "$name"; done`,
    ];
    const said = ["in leaked", "written", "made", `${LEAKED}/file\n${LEAKED}/new`];
    for (const [index, attempt] of attempts.entries()) {
      const refusal = index === 3 ? /^\/proc\/self\/fd\/3\/\*$/ : /Permission denied/;
      assert.match(await ask(attempt, inJail), refusal, attempt);
      // It is Landlock, and nothing else, that refuses.
      assert.equal(await ask(attempt, outside), said[index]);
    }
  });

  it("lets a file that was given for reading be opened again for that alone", async () => {
    assert.equal(await ask(READ(GIVEN), inJail), "in given");
    assert.match(await ask(WRITE(GIVEN), inJail), /Permission denied/);
    assert.equal(await ask(WRITE(GIVEN), outside), "written");
  });

  it("leaves it what its jail is for: its files, its devices, and what is shared with it", async () => {
    const script = `read -r line </shared/file && echo "$line"; echo more >/shared/new && echo made`;
    assert.equal(
      await ask(`${script}; : >/dev/null && echo opened`, inJail),
      "in shared\nmade\nopened",
    );
  });
});
