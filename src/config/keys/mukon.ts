// SPDX-License-Identifier: Apache-2.0
import { choice, flag, integer, path, text } from "../kinds.ts";
import { active } from "./define.ts";

/** Ids of one pod: the size of a user namespace that holds an ordinary container's ids. */
export const ID_BLOCK_SIZE = 65_536;

/** [mukon]: what Kata has no setting for. */
export const MUKON_KEYS = {
  idRangeStart: active({
    kind: integer(ID_BLOCK_SIZE, 0xfffe0000),
    default: 0x70000000,
    about:
      "First of the host's user and group ids that pods may be given; a multiple of 65536. The range must be free of the ids of people, subuid ranges and systemd.",
  }),
  idRangeEnd: active({
    kind: integer(2 * ID_BLOCK_SIZE, 0xfffe0000),
    default: 0x7ffd0000,
    about: "End of that range; this id itself is no longer in it. Each pod takes 65536 ids.",
  }),
  userPrefix: active({
    kind: text(/^[a-z_][a-z0-9_-]{0,15}$/, "1 to 16 of a-z, 0-9, _ and -, no digit first", 16),
    default: "kata-",
    about: "What the names of the VMMs' users and groups begin with; a number follows.",
  }),
  identityBackend: active({
    kind: choice("auto", "user-records", "useradd"),
    default: "auto",
    about:
      "Where the VMMs' users get their names: systemd user records (nothing is written to /etc), or `useradd`. `auto` takes the former where the machine serves them.",
  }),
  buildTemplates: active({
    kind: flag(),
    default: true,
    about:
      "Have a template made in the background when a pod had to boot for want of one. `false`: only `mukon guest template build` makes them.",
  }),
  templateMemory: active({
    kind: choice("auto", "copied"),
    default: "auto",
    about:
      "Whether clones share the pages of their template's memory until they write to them (takes QEMU 8.2), or each has a copy. `auto` shares where it can; `copied` leaves no page whose timing one pod could watch another by.",
  }),
  kvmAccess: active({
    kind: choice("auto", "descriptor", "group"),
    default: "auto",
    about:
      "How VMMs get at `/dev/kvm`. `descriptor`: mukon opens it for them, and they are in no group; takes a QEMU that has `-accel kvm,device=` (10.0 of Debian 13 has it, 7.2 of Debian 12 does not). `group`: they are in the group that owns the node. `auto`: by descriptor where QEMU can.",
  }),
  scratchDirectory: active({
    kind: path({ emptyMeans: "/var/lib/mukon/scratch" }),
    default: "",
    about: "Where scratch disks of containers are kept.",
  }),
};
