// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { describeValue } from "../describe-value.ts";

/** What a bundle is: a pod of its own, a pod's sandbox, or a container in a pod. */
export type PodType =
  | { readonly type: "single" }
  | { readonly type: "sandbox" }
  | { readonly type: "container"; readonly sandboxId: string };

/** Annotations of containerd, CRI-O and dockershim; the first that is there decides. */
const TYPE_ANNOTATIONS: readonly { key: string; sandbox: string; container: string }[] = [
  { key: "io.kubernetes.cri.container-type", sandbox: "sandbox", container: "container" },
  { key: "io.kubernetes.cri-o.ContainerType", sandbox: "sandbox", container: "container" },
  { key: "io.kubernetes.docker.type", sandbox: "podsandbox", container: "container" },
];
const SANDBOX_ID_ANNOTATIONS: readonly string[] = [
  "io.kubernetes.cri.sandbox-id",
  "io.kubernetes.cri-o.SandboxID",
  "io.kubernetes.sandbox.id",
];
/** The id becomes part of paths. */
const SANDBOX_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/**
 * Tells from its annotations what a bundle is.
 *
 * @throws MukonError POD_TYPE_UNKNOWN, POD_SANDBOX_ID_MISSING
 */
export function podTypeOf(annotations: Readonly<Record<string, string>>): PodType {
  const known = TYPE_ANNOTATIONS.find(({ key }) => Object.hasOwn(annotations, key));
  if (known === undefined) return { type: "single" };
  const value = annotations[known.key];
  if (value === known.sandbox) return { type: "sandbox" };
  if (value === known.container) return { type: "container", sandboxId: sandboxIdOf(annotations) };
  throw new MukonError(
    "POD_TYPE_UNKNOWN",
    `The annotation ${known.key} is ${describeValue(value)}, but must be "${known.sandbox}" or "${known.container}".`,
  );
}

function sandboxIdOf(annotations: Readonly<Record<string, string>>): string {
  const key = SANDBOX_ID_ANNOTATIONS.find((one) => Object.hasOwn(annotations, one));
  const id = key === undefined ? undefined : annotations[key];
  if (id !== undefined && SANDBOX_ID.test(id)) return id;
  throw new MukonError(
    "POD_SANDBOX_ID_MISSING",
    key === undefined
      ? "The container is part of a pod, but no annotation says of which."
      : `The annotation ${key} is ${describeValue(id)}, which is no id of a pod.`,
  );
}
