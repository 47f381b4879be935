// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import { RuntimeClass } from "kubernetes-models/node.k8s.io/v1/RuntimeClass";
import { ClusterRole } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRole";
import { ClusterRoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/ClusterRoleBinding";
import { Role } from "kubernetes-models/rbac.authorization.k8s.io/v1/Role";
import { RoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Pod } from "kubernetes-models/v1/Pod";
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import { parseAllDocuments } from "yaml";

export const DIRECTORY = join(import.meta.dirname, "..", "..", "..", "deploy", "kubernetes");

export const MODELS = {
  ...{ DaemonSet, RuntimeClass, ClusterRole, ClusterRoleBinding, Role, RoleBinding },
  ...{ ConfigMap, Pod, ServiceAccount },
};
export type Kind = keyof typeof MODELS;

export interface Manifest {
  /** Below deploy/kubernetes. */
  readonly file: string;
  readonly kind: Kind;
  readonly apiVersion: string;
  readonly name: string;
  readonly object: Record<string, unknown>;
}

/** All that is there, but kustomization.yaml, which is no object of Kubernetes. */
export function readManifests(): Manifest[] {
  return readdirSync(DIRECTORY, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".yaml") && name !== "kustomization.yaml")
    .sort()
    .flatMap((file) => parseManifests(file, readFileSync(join(DIRECTORY, file), "utf8")));
}

/** @throws Error for YAML that is not strictly valid, or a kind that nobody has a schema for here */
export function parseManifests(file: string, text: string): Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true, strict: true }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    const object = document.toJS() as Record<string, unknown>;
    const kind = String(object.kind);
    if (!(kind in MODELS)) throw new Error(`${file}: no schema for ${kind}`);
    const { name } = object.metadata as { name: string };
    return { file, kind: kind as Kind, apiVersion: String(object.apiVersion), name, object };
  });
}
