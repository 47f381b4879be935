// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import type { HostRoot } from "./host-root.ts";

/** Programs of the node that pods need, each with Debian's packages for it. */
const NEEDED: readonly { program: string; package: string; paths?: readonly string[] }[] = [
  { program: "qemu-system-x86_64", package: "qemu-system-x86" },
  { program: "setpriv", package: "util-linux" },
  { program: "unshare", package: "util-linux" },
  { program: "prlimit", package: "util-linux" },
  { program: "nsenter", package: "util-linux" },
  { program: "useradd", package: "passwd" },
  { program: "ip", package: "iproute2" },
  { program: "tc", package: "iproute2" },
  { program: "mkfs.ext4", package: "e2fsprogs" },
  {
    program: "virtiofsd",
    package: "virtiofsd (Debian 12: qemu-system-common)",
    paths: ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"],
  },
];
const DIRECTORIES: readonly string[] = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
];

/** @throws INSTALL_PROGRAMS_MISSING with all that is missing, before anything has changed */
export function checkPrerequisites(host: HostRoot): void {
  const missing = NEEDED.filter(({ program, paths }) => {
    const places = paths ?? DIRECTORIES.map((directory) => `${directory}/${program}`);
    return !places.some((path) => host.exists(path));
  });
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((one) => one.package))];
  throw new MukonError(
    "INSTALL_PROGRAMS_MISSING",
    `The node lacks ${missing.map(({ program }) => program).join(", ")}. Nothing was changed.`,
    { hint: `Install on the node the packages ${packages.join(", ")}.` },
  );
}
