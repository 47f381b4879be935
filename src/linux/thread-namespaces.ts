// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync } from "node:fs";
import { systemCall } from "./system-call.ts";

const CLONE_NEWNS = 0x0002_0000;
const CLONE_NEWPID = 0x2000_0000;
/** Root, working directory and umask of this thread alone, without which setns(2) refuses. */
const CLONE_FS = 0x200;

const unshare = systemCall("int unshare(int flags)");
const setns = systemCall("int setns(int fd, int type)");
const fchdir = systemCall("int fchdir(int fd)");
const chroot = systemCall("int chroot(const char *path)");

/**
 * Runs `work` where the next child that the calling thread starts is the first process of a new pid
 * namespace, and all others are in there with it. Like {@link inNewMountNamespace}, only `work`: it
 * must be synchronous, and start no thread. unshare(2)
 */
export function inNewPidNamespace<Result>(work: () => Result): Result {
  return withOpen(["/proc/thread-self/ns/pid"], ([own = -1]) => {
    unshare(CLONE_NEWPID);
    try {
      return work();
    } finally {
      comeBack(() => setns(own, CLONE_NEWPID));
    }
  });
}

/**
 * Runs `work` with a copy of all mounts, which are shared with nobody else unless it says so.
 * Root and working directory are what they were afterwards.
 */
export function inNewMountNamespace<Result>(work: () => Result): Result {
  const paths = ["/proc/thread-self/ns/mnt", "/", "."];
  return withOpen(paths, ([own = -1, root = -1, directory = -1]) => {
    unshare(CLONE_FS | CLONE_NEWNS);
    try {
      return work();
    } finally {
      comeBack(() => {
        setns(own, CLONE_NEWNS);
        fchdir(root);
        chroot(".");
        fchdir(directory);
      });
    }
  });
}

/**
 * Runs `work` in the mount namespace of another process, whose root is the namespace's own. Like
 * {@link inNewMountNamespace}, `work` must be synchronous.
 */
export function inMountNamespaceOf<Result>(pid: number, work: () => Result): Result {
  const paths = [`/proc/${pid}/ns/mnt`, "/proc/thread-self/ns/mnt", "/", "."];
  return withOpen(paths, ([theirs = -1, own = -1, root = -1, directory = -1]) => {
    unshare(CLONE_FS);
    setns(theirs, CLONE_NEWNS);
    try {
      return work();
    } finally {
      comeBack(() => {
        setns(own, CLONE_NEWNS);
        fchdir(root);
        chroot(".");
        fchdir(directory);
      });
    }
  });
}

function withOpen<Result>(paths: readonly string[], work: (fds: number[]) => Result): Result {
  const fds: number[] = [];
  try {
    for (const path of paths) fds.push(openSync(path, "r"));
    return work(fds);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

/** All that follows would be done in the wrong place: the process ends, and its clean-up follows. */
function comeBack(work: () => void): void {
  try {
    work();
  } catch (error) {
    console.error("mukon: there is no way back out of a namespace:", error);
    process.abort();
  }
}
