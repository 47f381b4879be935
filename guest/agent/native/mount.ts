// SPDX-License-Identifier: Apache-2.0
import { callInPool } from "./libc.ts";

const MOUNT =
  "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)";
const UNMOUNT = "int umount2(const char *target, int flags)";
const UNMOUNT_DETACH = 2;
const UNMOUNT_NO_FOLLOW = 8;

/** [bits to set, bits to clear] for each option that is a flag (mount(2)); the rest is data. */
const FLAGS: Readonly<Record<string, readonly [number, number]>> = {
  defaults: [0, 0],
  ro: [1, 0],
  rw: [0, 1],
  nosuid: [2, 0],
  suid: [0, 2],
  nodev: [4, 0],
  dev: [0, 4],
  noexec: [8, 0],
  exec: [0, 8],
  sync: [16, 0],
  async: [0, 16],
  remount: [32, 0],
  dirsync: [128, 0],
  noatime: [1024, 0],
  atime: [0, 1024],
  nodiratime: [2048, 0],
  diratime: [0, 2048],
  bind: [4096, 0],
  rbind: [4096 | 16384, 0],
  unbindable: [1 << 17, 0],
  private: [1 << 18, 0],
  rprivate: [(1 << 18) | 16384, 0],
  slave: [1 << 19, 0],
  rslave: [(1 << 19) | 16384, 0],
  shared: [1 << 20, 0],
  rshared: [(1 << 20) | 16384, 0],
  relatime: [1 << 21, 0],
  norelatime: [0, 1 << 21],
  strictatime: [1 << 24, 0],
  lazytime: [1 << 25, 0],
};

const PROPAGATION = (1 << 17) | (1 << 18) | (1 << 19) | (1 << 20);
const BIND = 4096;
const REMOUNT = 32;
const RECURSIVE = 16384;

export interface MountOptions {
  readonly flags: number;
  /** What the file system itself understands, joined by commas. */
  readonly data: string;
}

/** Splits options of mount(8) into the flags and the data of mount(2). */
export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0;
  const data: string[] = [];
  for (const option of options) {
    const change = Object.hasOwn(FLAGS, option) ? FLAGS[option] : undefined;
    if (change === undefined) {
      if (option !== "") data.push(option);
    } else {
      flags = (flags | change[0]) & ~change[1];
    }
  }
  return { flags, data: data.join(",") };
}

export interface MountRequest {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** @throws Error with `code` (ENODEV, EINVAL, …) and what was to be mounted where */
export async function mount(request: MountRequest): Promise<void> {
  const { flags, data } = parseMountOptions(request.options);
  const propagation = flags & PROPAGATION;
  const own = flags & ~PROPAGATION;
  await mountOnce(request, own, data);
  // The kernel ignores the other flags of a bind mount until it is remounted.
  const afterwards = own & ~(BIND | RECURSIVE);
  if ((own & BIND) !== 0 && afterwards !== 0) {
    await mountOnce(request, afterwards | BIND | REMOUNT, data);
  }
  if (propagation !== 0) await mountOnce(request, propagation | (flags & RECURSIVE), "");
}

async function mountOnce(request: MountRequest, flags: number, data: string): Promise<void> {
  try {
    await callInPool(MOUNT, request.source, request.target, request.type, flags, data);
  } catch (error) {
    const what = `${request.type || "bind"} ${request.source} on ${request.target}`;
    const code = (error as NodeJS.ErrnoException).code;
    const message = `cannot mount ${what} (options "${request.options.join(",")}"): ${code}`;
    throw Object.assign(new Error(message, { cause: error }), { code });
  }
}

/** Detaches at once, even when in use; a target that is no mount point is no error. */
export async function unmount(target: string): Promise<void> {
  try {
    await callInPool(UNMOUNT, target, UNMOUNT_DETACH | UNMOUNT_NO_FOLLOW);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "EINVAL" && code !== "ENOENT") throw error;
  }
}

/** Waits until every file system has written its data. */
export async function syncFileSystems(): Promise<void> {
  await callInPool("void sync(void)");
}
