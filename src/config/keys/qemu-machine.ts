// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import {
  choice,
  decimal,
  flag,
  globList,
  integer,
  integerOrZero,
  type Kind,
  path,
  patternList,
  text,
} from "../kinds.ts";
import { accepted, active } from "./define.ts";

/** The strictest filter QEMU has for its own system calls. */
export const STRICT_QEMU_SANDBOX =
  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/** With less, a guest does not even boot. */
const MIN_MEMORY_MIB = 128;
const MAX_MEMORY_MIB = 16_777_216;
const MAX_KERNEL_PARAMS_LENGTH = 1536;
const OPTION_LIST = /^[A-Za-z0-9_.+\-=,]*$/;

const SANDBOX_OPTIONS = text(
  /^$|^on(,(obsolete|elevateprivileges|spawn|resourcecontrol)=(allow|deny|children))*$/,
  '"on", and options such as ",spawn=deny"; "" for the strictest',
  128,
);

/** Empty means "no filter" to Kata; here it means the strictest. */
const QEMU_SANDBOX: Kind<string> = {
  ...SANDBOX_OPTIONS,
  schema: v.pipe(
    SANDBOX_OPTIONS.schema,
    v.transform((value) => (value === "" ? STRICT_QEMU_SANDBOX : value)),
  ),
};

/** [hypervisor.qemu]: who the VMM runs as, and the machine it shows to the guest. */
export const QEMU_MACHINE_KEYS = {
  rootless: active({
    kind: flag(),
    default: true,
    about:
      "Run the VMM as a user made for this pod alone, without capabilities. `false` runs it as root and is reported by `mukon audit`. The annotation may always switch it on; to switch it off, `enable_annotations` must match `rootless`. `io.katacontainers.hypervisor.rootless` is understood as well.",
    annotation: {},
  }),
  path: active({
    kind: path(),
    default: "/usr/bin/qemu-system-x86_64",
    about: "The QEMU program.",
    annotation: { globs: "valid_hypervisor_paths" },
  }),
  validHypervisorPaths: active({
    kind: globList(),
    default: ["/usr/bin/qemu-system-x86_64"],
    about: "Patterns for the values that the annotation `path` may have.",
  }),
  enableAnnotations: active({
    kind: patternList(),
    default: [
      "^enable_iommu$",
      "^kernel_params$",
      "^kernel_verity_params$",
      "^default_vcpus$",
      "^default_memory$",
    ],
    about:
      "Which hypervisor annotations pods may use: regular expressions, of which one must match the name after `io.katacontainers.config.hypervisor.` (anywhere in it, unless anchored). A pod with any other hypervisor annotation is refused.",
  }),
  accelerator: active({
    kind: choice("auto", "kvm", "tcg"),
    default: "auto",
    about:
      "`kvm` is hardware virtualization, `tcg` emulation (slow, works everywhere). `auto` uses KVM when a probe shows that it really runs a guest.",
  }),
  kernel: active({
    kind: path({ emptyMeans: "the kernel of mukon's own guest" }),
    default: "",
    about: "The guest's kernel.",
    annotation: { globs: "valid_asset_paths" },
  }),
  initrd: active({
    kind: path({ emptyMeans: "the initrd of mukon's own guest" }),
    default: "",
    about: "The guest's initial RAM disk.",
    annotation: { globs: "valid_asset_paths" },
  }),
  image: active({
    kind: path({ emptyMeans: "the image of mukon's own guest" }),
    default: "",
    about: "The guest's root file system.",
    annotation: { globs: "valid_asset_paths" },
  }),
  validAssetPaths: active({
    kind: globList(),
    default: [],
    about:
      "Patterns for the values that the annotations `kernel`, `initrd` and `image` may have. mukon opens these files as root on the guest's behalf, so list only folders whose every file a pod may read. Not in Kata, which checks none of the three.",
  }),
  machineType: active({
    kind: choice("q35"),
    default: "q35",
    about: "QEMU's machine type.",
    annotation: {},
  }),
  machineAccelerators: active({
    kind: text(
      OPTION_LIST,
      'options as QEMU\'s -machine takes them, for example "nosmm,nosmbus"',
      512,
    ),
    default: "",
    about: "More options for QEMU's `-machine`.",
    annotation: {},
  }),
  cpuFeatures: active({
    kind: text(OPTION_LIST, 'options as QEMU\'s -cpu takes them, for example "pmu=off"', 1024),
    default: "",
    about: "More options for QEMU's `-cpu`.",
    annotation: {},
  }),
  kernelParams: active({
    kind: text(
      /^[\x20-\x7e]*$/,
      `printable ASCII, at most ${MAX_KERNEL_PARAMS_LENGTH} characters`,
      MAX_KERNEL_PARAMS_LENGTH,
    ),
    default: "",
    about:
      "More kernel parameters for the guest; they come last, so they win. The annotation adds to the setting.",
    annotation: { isAppended: true },
  }),
  seccompsandbox: accepted({
    kind: QEMU_SANDBOX,
    default: STRICT_QEMU_SANDBOX,
    about:
      "QEMU's own filter of system calls (`-sandbox`). It is always the strictest; nothing makes it looser. An empty value means the default.",
    aliases: ["seccomp_sandbox"],
  }),
  defaultVcpus: active({
    kind: decimal(0, 1024),
    default: 1,
    about:
      "CPUs of the guest before those that the containers' limits add. 0 stands for the default; the sum is rounded up.",
    annotation: {},
  }),
  defaultMaxvcpus: active({
    kind: integer(0, 1024),
    default: 0,
    about: "The most CPUs a guest may have. 0 stands for the number of CPUs of the host.",
    annotation: { name: "default_max_vcpus" },
  }),
  defaultMemory: active({
    kind: integerOrZero(MIN_MEMORY_MIB, MAX_MEMORY_MIB),
    default: 2048,
    about:
      "Memory of the guest in MiB, before what the containers' limits add. 0 stands for the default.",
    annotation: {},
  }),
  defaultMaxmemory: active({
    kind: integerOrZero(MIN_MEMORY_MIB, MAX_MEMORY_MIB),
    default: 0,
    about: "The most memory, in MiB, a guest may have. 0 stands for all of the host's.",
    annotation: {},
  }),
  memorySlots: accepted({
    kind: integer(0, 1024),
    default: 10,
    about: "Slots for memory added while the guest runs.",
    annotation: {},
  }),
  memoryOffset: accepted({
    kind: integer(0, Number.MAX_SAFE_INTEGER),
    default: 0,
    about: "Bytes added to the guest's largest memory, for NVDIMM devices.",
    annotation: {},
  }),
  enableDebug: active({
    kind: flag(),
    default: false,
    about: "Let the guest's kernel print more on its console.",
  }),
};
