// SPDX-License-Identifier: Apache-2.0
import { ENDS_PASST } from "../passt-walls.ts";
import { call } from "../system.ts";
import type { Attempt } from "../types.ts";

const NO_CAPABILITY = "no capability";
const KEYCTL_GET_PERSISTENT = 22;
const PROCESS_KEYRING = -2;
const REBOOT_MAGIC = [0xfee1dead, 672_274_793, 0x0123_4567] as const;
const PERF_ATTRIBUTE_BYTES = 112;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_KPROBE = 2;

export const KERNEL: readonly Attempt[] = [
  refused("load a module", ["EPERM", "ENOSYS"], () =>
    call("init_module", Buffer.alloc(64), 64, ""),
  ),
  refused("unload a module", ["EPERM", "ENOSYS"], () => call("delete_module", "loop", 0)),
  refused("load another kernel", ["EPERM", "ENOSYS"], () => call("kexec_load", 0, 0, null, 0)),
  refused("restart the host", () => call("reboot", ...REBOOT_MAGIC, null)),
  refused("set the clock", () => call("settimeofday", Buffer.alloc(16), null)),
  refused("name the host", () => call("sethostname", Buffer.from("owned"), 5)),
  refused("write down all processes that end", () => call("acct", "/proc/self/comm")),
  refused("swap to a file", () => call("swapon", "/proc/self/comm", 0)),
  {
    name: "talk to the hardware's ports",
    wall: NO_CAPABILITY,
    refusals: ["EPERM", "ENOSYS"],
    run: () => void call("iopl", 3),
  },
  refused("load a program into the kernel (bpf)", () => {
    const attributes = Buffer.alloc(120);
    attributes.writeUInt32LE(BPF_PROG_TYPE_KPROBE, 0);
    call("bpf", BPF_PROG_LOAD, attributes, attributes.length);
  }),
  refused("watch all of a processor (perf)", ["EACCES", "EPERM", "ENOENT"], () => {
    const attributes = Buffer.alloc(PERF_ATTRIBUTE_BYTES);
    attributes.writeUInt32LE(1, 0);
    attributes.writeUInt32LE(PERF_ATTRIBUTE_BYTES, 4);
    call("perf_event_open", attributes, -1, 0, -1, 0);
  }),
  refused("stop the kernel in the middle of a fault (userfaultfd)", ["EPERM", "ENOSYS"], () => {
    call("userfaultfd", 0);
  }),
  {
    ...refused("take root's keyring", ["EPERM", "EACCES", "EOPNOTSUPP"], () => {
      call("keyctl", KEYCTL_GET_PERSISTENT, 0, PROCESS_KEYRING);
    }),
    notFor: "virtiofsd",
  },
];

function refused(
  name: string,
  refusals: readonly string[] | (() => unknown),
  run: () => unknown = () => {},
): Attempt {
  if (typeof refusals === "function") return refused(name, ["EPERM"], refusals);
  return { name, refusals, wall: NO_CAPABILITY, forPasst: ENDS_PASST, run: () => void run() };
}
