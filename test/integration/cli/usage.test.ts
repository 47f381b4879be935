// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

const WRONG_USAGE = 2;
const FAILED = 125;

/** Words of the command line, what its message says, and the help that the hint names. */
type Wrong = readonly [args: string[], message: RegExp, help: string];

const WRONG_WORDS: readonly Wrong[] = [
  [["frobnicate"], /unknown command 'frobnicate'/, "mukon --help"],
  [["rn", "busybox"], /unknown command 'rn'.*run/, "mukon --help"],
  [["image", "frob"], /unknown command 'frob'/, "mukon image --help"],
  [["run", "--bogus", "busybox"], /unknown option '--bogus'/, "mukon run --help"],
  [["run", "--memory"], /'--memory <size>' argument missing/, "mukon run --help"],
  [["config", "show", "--orign"], /--orign.*--origin/, "mukon config show --help"],
  [["exec", "x"], /missing required argument 'command'/, "mukon exec --help"],
  [["logs"], /missing required argument 'container'/, "mukon logs --help"],
  [["image", "pull"], /missing required argument 'image'/, "mukon image pull --help"],
  [["image", "rm"], /missing required argument 'images'/, "mukon image rm --help"],
  [["ps", "extra"], /too many arguments for 'ps'/, "mukon ps --help"],
];

const WRONG_VALUES: readonly Wrong[] = [
  [["run", "--memory", "lots", "busybox"], /--memory: "lots".*512m/, "mukon run --help"],
  [["run", "--memory", "1k", "busybox"], /--memory: "1k".*6\.0 MiB/, "mukon run --help"],
  [["run", "--memory", "-1", "busybox"], /--memory: "-1"/, "mukon run --help"],
  [["run", "--scratch", "900t", "busybox"], /--scratch: "900t".*8\.0 TiB/, "mukon run --help"],
  [["run", "--cpus", "0", "busybox"], /--cpus: "0".*positive/, "mukon run --help"],
  [["run", "--pids-limit", "many", "busybox"], /--pids-limit: "many"/, "mukon run --help"],
  [["run", "--timeout", "0", "busybox"], /--timeout: "0".*30s/, "mukon run --help"],
  [["run", "--pull", "maybe", "busybox"], /--pull: "maybe".*missing, always/, "mukon run --help"],
  [["run", "--hostname", "a b", "busybox"], /--hostname: "a b"/, "mukon run --help"],
  [["run", "-w", "tmp", "busybox"], /--workdir: "tmp".*absolute/, "mukon run --help"],
  [["run", "--annotation", "x", "busybox"], /--annotation: "x".*KEY=VALUE/, "mukon run --help"],
  [["exec", "-w", "tmp", "x", "true"], /--workdir: "tmp".*absolute/, "mukon exec --help"],
  [["kill", "-s", "NOPE", "x"], /signal: "NOPE".*name or number/, "mukon kill --help"],
  [["stop", "-t", "never", "x"], /--time: "never".*30s/, "mukon stop --help"],
];

describe("a wrong command line", () => {
  let world: PodWorld;
  before(() => {
    world = new PodWorld();
  });
  after(() => world.end());

  for (const [args, message, help] of [...WRONG_WORDS, ...WRONG_VALUES]) {
    test(`mukon ${args.join(" ")}`, async () => {
      const result = await mukon(args);
      assert.equal(result.code, WRONG_USAGE, result.stderr);
      assert.equal(result.stdout, "");
      assert.match(result.stderr, message);
      assert.match(result.stderr, /^mukon: .+ \[USAGE\]\n {2}hint: .+\n$/);
      assert.ok(result.stderr.endsWith(`hint: see: ${help}\n`), result.stderr);
    });
  }

  test("names that could become paths, other hypervisors and no image have hints of their own", async () => {
    const cases: [string[], RegExp][] = [
      [["run", "--name", "../up", "busybox"], /"\.\.\/up".*\n {2}hint: use up to 63 letters/],
      [["run", "--hypervisor", "xen", "busybox"], /"xen".*\n {2}hint: .*qemu/],
      [["run"], /no image.*\n {2}hint: try: mukon run/],
    ];
    for (const [args, message] of cases) {
      const result = await mukon(args);
      assert.equal(result.code, WRONG_USAGE, result.stderr);
      assert.match(result.stderr, message);
    }
  });

  test("help is a success when it was asked for, and goes to standard output", async () => {
    const asked = await mukon(["run", "--help"]);
    assert.equal(asked.code, 0);
    assert.match(asked.stdout, /--env-file/);
    assert.equal(asked.stderr, "");
    const notAsked = await mukon([]);
    assert.equal(notAsked.code, WRONG_USAGE);
    assert.match(notAsked.stderr, /Usage: mukon/);
  });

  test("words behind the image belong to the container, whatever they look like", async () => {
    const result = await mukon(["run", "oci:/no/such", "ls", "--bogus", "-d", "--help"]);
    assert.equal(result.code, FAILED, result.stderr);
    assert.match(result.stderr, /IMAGE_NOT_FOUND/);
  });
});
