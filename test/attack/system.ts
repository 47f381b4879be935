// SPDX-License-Identifier: Apache-2.0
import { type LibraryFunction, libcFunction } from "../../src/linux/koffi-loader.ts";
import { systemCall } from "../../src/linux/system-call.ts";

/** Numbers of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl). */
export const SYS = {
  write: 1,
  mmap: 9,
  ioctl: 16,
  socket: 41,
  connect: 42,
  bind: 49,
  setsockopt: 54,
  kill: 62,
  fcntl: 72,
  ftruncate: 77,
  fchmod: 91,
  fchown: 93,
  ptrace: 101,
  setuid: 105,
  setgid: 106,
  setgroups: 116,
  setresuid: 117,
  capset: 126,
  mknod: 133,
  setpriority: 141,
  sched_setscheduler: 144,
  pivot_root: 155,
  prctl: 157,
  setrlimit: 160,
  chroot: 161,
  acct: 163,
  settimeofday: 164,
  mount: 165,
  umount2: 166,
  swapon: 167,
  reboot: 169,
  sethostname: 170,
  iopl: 172,
  init_module: 175,
  delete_module: 176,
  kexec_load: 246,
  keyctl: 250,
  unshare: 272,
  perf_event_open: 298,
  open_by_handle_at: 304,
  setns: 308,
  process_vm_readv: 310,
  seccomp: 317,
  memfd_create: 319,
  bpf: 321,
  userfaultfd: 323,
  open_tree: 428,
  fsopen: 430,
  pidfd_open: 434,
} as const;

export type Value = number | bigint | string | Buffer | null;
export type CallName = keyof typeof SYS;
/** Makes a call in another way than `make` would. */
export type Diversion = (name: CallName, values: readonly Value[], make: () => number) => number;

let diversion: Diversion | undefined;

/** From here on, all calls are made by way of this. */
export function divertCalls(by: Diversion): void {
  diversion = by;
}

export function areCallsDiverted(): boolean {
  return diversion !== undefined;
}

const calls = new Map<string, ReturnType<typeof systemCall>>();

/** The bare system call: text goes as a path, a buffer as memory. @throws SystemCallError */
export function call(name: CallName, ...values: Value[]): number {
  const make = (): number => callHere(name, values);
  return diversion === undefined ? make() : diversion(name, values, make);
}

function callHere(name: CallName, values: readonly Value[]): number {
  const types = values.map((value) =>
    typeof value === "string" ? "const char *" : isNumber(value) ? "long" : "void *",
  );
  const parameters = ["long number", ...types.map((type, index) => `${type} v${index}`)];
  const declaration = `long syscall(${parameters.join(", ")})`;
  let known = calls.get(`${name} ${declaration}`);
  if (known === undefined) {
    known = systemCall(declaration, name);
    calls.set(`${name} ${declaration}`, known);
  }
  return known(SYS[name], ...values);
}

/** Where memory is, for structures that point to it; the caller keeps it alive. */
export function addressOf(memory: Buffer): bigint {
  const identity: LibraryFunction = libcFunction("uintptr_t memchr(void *p, int c, size_t n)");
  return BigInt(identity(memory, memory[0] ?? 0, 1) as number | bigint);
}

function isNumber(value: Value): boolean {
  return typeof value === "number" || typeof value === "bigint";
}
