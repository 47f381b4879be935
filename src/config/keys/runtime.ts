// SPDX-License-Identifier: Apache-2.0
import { choice, flag, integer, path, textList } from "../kinds.ts";
import { accepted, active } from "./define.ts";

/** [runtime]: the shim. */
export const RUNTIME_KEYS = {
  hypervisorName: active({
    kind: choice("qemu"),
    default: "qemu",
    about: "The VMM that runs pods.",
  }),
  enableDebug: active({
    kind: flag(),
    default: false,
    about: "Log more.",
  }),
  createContainerTimeout: active({
    kind: integer(1, 86_400),
    default: 60,
    about: "Seconds the guest has to create a container.",
    annotation: {},
  }),
  internetworkingModel: active({
    kind: choice("tcfilter", "macvtap", "none"),
    default: "tcfilter",
    about:
      "How the pod's network reaches the guest: `tcfilter` hands every frame of each interface to a network card of the VM's and back; with `none` it has no card. Pods that ask for `macvtap` are refused.",
    annotation: {},
  }),
  disableGuestSeccomp: accepted({
    kind: flag(),
    default: true,
    about: "Do not apply containers' seccomp profiles inside the guest.",
    annotation: {},
  }),
  sandboxCgroupOnly: active({
    kind: flag(),
    default: true,
    about:
      "Keep every process that is started for a pod in the pod's own cgroup on the host. `false`: the VMM alone; the others stay where the shim is.",
    annotation: {},
  }),
  staticSandboxResourceMgmt: accepted({
    kind: flag(),
    default: true,
    about: "Give the guest its final size at its start, rather than resize it for each container.",
  }),
  sandboxBindMounts: accepted({
    kind: textList({
      pattern: /^\/[^\0\n]*$/,
      accepts: "a list of absolute paths, each with an optional :ro or :rw",
      separator: " ",
    }),
    default: [],
    about: "Folders of the host that every guest sees. No annotation can set them.",
  }),
  disableGuestEmptyDir: accepted({
    kind: flag(),
    default: true,
    about: "Keep emptyDir volumes on the host rather than in the guest.",
  }),
  emptydirMode: accepted({
    kind: choice("shared-fs", "block-plain", "block-encrypted"),
    default: "shared-fs",
    about: "What an emptyDir volume is made of.",
  }),
};

/** [factory]: guests that are cloned rather than booted. */
export const FACTORY_KEYS = {
  enableTemplate: active({
    kind: flag(),
    default: true,
    about:
      "Start pods as clones of a guest that has booted already, where `mukon guest template build` has made one for exactly such machines. `false`: every guest boots.",
  }),
  templatePath: accepted({
    kind: path(),
    default: "/run/vc/vm/template",
    about: "Where Kata keeps the booted guest. Templates of mukon's are in its state directory.",
  }),
};
