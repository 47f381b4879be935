// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, ftruncateSync, openSync, readdirSync, writeSync } from "node:fs";
import { call } from "../system.ts";
import type { Attempt } from "../types.ts";

const READ_ONLY = "opened for reading alone, by the shim; the file is root's";
const F_GETFL = 3;
const F_SETFL = 4;
const ACCESS_MODE = 3;
const O_RDWR = 2;
const MAP_SHARED = 1;
const PROT_READ_WRITE = 3;
const PAGE_BYTES = 4096;

export const DESCRIPTORS: readonly Attempt[] = [
  onEach("write to files that it was given for reading", ["EBADF", "NONE"], (fd) =>
    writeSync(fd, "x"),
  ),
  onEach("cut them off", ["EINVAL", "EBADF", "NONE"], (fd) => ftruncateSync(fd, 0)),
  onEach("map them for writing", ["EACCES", "NONE"], (fd) => {
    call("mmap", 0, PAGE_BYTES, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  }),
  onEach("make them writable afterwards", ["EBADF", "NONE"], (fd) => {
    call("fcntl", fd, F_SETFL, O_RDWR);
    writeSync(fd, "x");
  }),
  onEach("open them again for writing", ["EACCES", "EROFS", "EPERM", "NONE"], (fd) => {
    closeSync(openSync(`/proc/self/fd/${fd}`, "r+"));
  }),
  onEach("own them", ["EPERM", "EROFS", "NONE"], (fd) => call("fchown", fd, 4242, 4242)),
];

/** On each regular file that is open for reading; NONE when there is none. */
function onEach(name: string, refusals: string[], run: (fd: number) => unknown): Attempt {
  return {
    ...{ name, refusals, wall: READ_ONLY },
    run: () => {
      let refusal: unknown = Object.assign(new Error(), { code: "NONE" });
      for (const fd of readOnlyFiles()) {
        try {
          run(fd);
          return;
        } catch (error) {
          refusal = error;
        }
      }
      throw refusal;
    },
  };
}

function readOnlyFiles(): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => {
      try {
        return fstatSync(fd).isFile() && (call("fcntl", fd, F_GETFL, 0) & ACCESS_MODE) === 0;
      } catch {
        return false;
      }
    });
}
