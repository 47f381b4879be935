// SPDX-License-Identifier: Apache-2.0
// Somebody who has taken passt over has the filter that was put on it before it began.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const skip = process.getuid?.() === 0 ? false : "needs root: it changes user ids";
const DIST = new URL("../../../dist/", import.meta.url);
const PYTHON = "/usr/bin/python3";
const NOBODY = 65_534;

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-filter-"));
  chmodSync(directory, 0o755);
  for (const name of ["passt-filter.cjs", "koffi.node"]) {
    cpSync(new URL(name, DIST), join(directory, name));
  }
});
after(() => rmSync(directory, { recursive: true }));

/** Runs a program in Python in the place of passt; what it prints, or the signal that ended it. */
function inItsPlace(script: string): string {
  const argv = [join(directory, "passt-filter.cjs"), PYTHON, "-c", script];
  const { stdout, stderr, signal } = spawnSync(process.execPath, argv, {
    ...{ uid: NOBODY, gid: NOBODY, env: {}, cwd: "/", encoding: "utf8" },
    stdio: ["ignore", "pipe", "pipe", "ignore"],
  });
  assert.ok(stdout !== "" || signal !== null, stderr);
  return signal ?? stdout.trim();
}

const TRY_SOCKETS = `
import socket, errno
INET, STREAM, DGRAM, RAW = socket.AF_INET, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
def made(*what):
    try:
        socket.socket(*what).close()
        return "made"
    except OSError as error:
        return errno.errorcode[error.errno]
UNIX, VSOCK, ALG, NETLINK, PACKET = 1, 40, 38, 16, 17
print(*[made(*what) for what in [
    (INET, STREAM), (INET, DGRAM), (socket.AF_INET6, STREAM, 6), (NETLINK, RAW, 0),
    (UNIX, STREAM), (UNIX, DGRAM), (VSOCK, STREAM), (ALG, 5), (PACKET, RAW), (NETLINK, RAW, 4),
    (NETLINK, RAW, 16), (INET, STREAM, 262), (INET, STREAM, 132), (INET, DGRAM, 136)]])
try:
    socket.socketpair()
except OSError as error:
    print(errno.errorcode[error.errno])`;

test("it has sockets for the network, and none for the host's programs", { skip }, () => {
  const [sockets = "", pair] = inItsPlace(TRY_SOCKETS).split("\n");
  const refused = new Array(10).fill("EPERM");
  assert.deepEqual(sockets.split(" "), [...new Array(4).fill("made"), ...refused]);
  assert.equal(pair, "EPERM");
});

const CALL = `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
before = [os.readlink("/proc/self/ns/" + name) for name in ("user", "mnt", "net")]`;

test("what passt does to shut itself in succeeds, and changes nothing", { skip }, () => {
  const said = inItsPlace(`${CALL}
print(libc.unshare(0x10000000), libc.mount(b"", b"/", b"", 1 << 17, None), libc.chdir(b"/tmp"))
after = [os.readlink("/proc/self/ns/" + name) for name in ("user", "mnt", "net")]
print(before == after, os.getcwd())`);
  assert.equal(said, "0 0 0\nTrue /");
});

test("what only an attacker would try ends it", { skip }, () => {
  for (const call of ["ptrace(0, 0, 0, 0)", "setns(0, 0)", "chroot(b'/')"]) {
    assert.equal(inItsPlace(`${CALL}\nlibc.${call}\nprint("survived")`), "SIGSYS", call);
  }
});
