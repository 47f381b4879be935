// SPDX-License-Identifier: Apache-2.0
import { runAsNobody } from "./as-nobody.ts";

/** How QEMU gets at /dev/kvm: opened by somebody else for it, or by a group that it is in. */
export type KvmAccess = "descriptor" | "group";

/** What the configuration says of it; `auto`: by descriptor if QEMU can. */
export type WantedKvmAccess = "auto" | KvmAccess;

/** A path at which there is nothing: whether QEMU has the option, it says before it looks there. */
const NOWHERE = "/proc/no-kvm";

/**
 * Whether QEMU takes /dev/kvm as a descriptor (`-accel kvm,device=`). Older ones open it by its path
 * and no other. Asked of the program itself, which versions are patched to be different from.
 */
export async function takesKvmDescriptor(qemuPath: string): Promise<boolean> {
  const { stderr } = await runAsNobody([
    qemuPath,
    ...["-machine", "none", "-nodefaults", "-no-user-config", "-display", "none"],
    ...["-accel", `kvm,device=${NOWHERE}`],
  ]);
  return /could not access kvm/i.test(stderr);
}

/** Whether the VMM has to be in the group of /dev/kvm. */
export async function needsKvmGroup(wanted: WantedKvmAccess, qemuPath: string): Promise<boolean> {
  return wanted === "group" || (wanted === "auto" && !(await takesKvmDescriptor(qemuPath)));
}
