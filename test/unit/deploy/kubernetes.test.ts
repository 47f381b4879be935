// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { IDaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import type { IRuntimeClass } from "kubernetes-models/node.k8s.io/v1/RuntimeClass";
import type { IRole } from "kubernetes-models/rbac.authorization.k8s.io/v1/Role";
import type { IRoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding";
import type { IPod } from "kubernetes-models/v1/Pod";
import { parse } from "yaml";
import { ROOTLESS_ANNOTATIONS } from "../../../src/config/annotations/names.ts";
import { NODE_LABEL } from "../../../src/node-install/kubernetes-api.ts";
import { VERSION } from "../../../src/version.ts";
import { DIRECTORY, type Kind, readManifests } from "./manifests.ts";

const MANIFESTS = readManifests();
const daemonSet = only<IDaemonSet>("DaemonSet");
const pod = daemonSet.spec?.template.spec;
const container = pod?.containers[0];

function all<T>(kind: Kind): T[] {
  return MANIFESTS.filter((one) => one.kind === kind).map(({ object }) => object as T);
}

function only<T>(kind: Kind): T {
  const [found, ...others] = all<T>(kind);
  assert.ok(found !== undefined && others.length === 0, kind);
  return found;
}

test("runtime classes go to labelled nodes, and all say the same overhead", () => {
  const classes = all<IRuntimeClass>("RuntimeClass");
  assert.deepEqual(classes.map(({ handler }) => handler).sort(), ["kata-qemu", "mukon"]);
  for (const { scheduling, overhead, handler, metadata } of classes) {
    assert.equal(metadata?.name, handler);
    assert.deepEqual(scheduling?.nodeSelector, { [NODE_LABEL]: "true" });
    assert.deepEqual(overhead, classes[0]?.overhead);
    assert.match(String(overhead?.podFixed?.memory), /^\d+Mi$/);
    assert.match(String(overhead?.podFixed?.cpu), /^\d+m$/);
  }
});

test("the installer's account, its rights and its environment fit each other", () => {
  const account = pod?.serviceAccountName;
  const name = daemonSet.metadata?.name ?? "";
  const env = Object.fromEntries(
    (container?.env ?? []).map((one) => [one.name, one.value ?? one.valueFrom]),
  );
  assert.equal(env.DAEMONSET_NAME, name);
  assert.deepEqual(Object.keys(env).sort(), ["DAEMONSET_NAME", "NAMESPACE", "NODE_NAME"]);
  for (const kind of ["RoleBinding", "ClusterRoleBinding"] as const) {
    const binding = only<IRoleBinding>(kind);
    const subjects = binding.subjects?.map((one) => [one.kind, one.name, one.namespace]);
    assert.deepEqual(subjects, [["ServiceAccount", account, daemonSet.metadata?.namespace]]);
    const role = only<IRole>(kind === "RoleBinding" ? "Role" : "ClusterRole");
    assert.equal(binding.roleRef.name, role.metadata?.name);
  }
  assert.deepEqual(only<IRole>("Role").rules, [
    { apiGroups: ["apps"], resources: ["daemonsets"], resourceNames: [name], verbs: ["get"] },
  ]);
  assert.deepEqual(only<IRole>("ClusterRole").rules, [
    { apiGroups: [""], resources: ["nodes"], verbs: ["patch"] },
  ]);
});

test("the DaemonSet gives the installer what it needs, and time to remove what it installed", () => {
  const { args = [] } = container ?? {};
  const wait = Number(/--wait=(\d+)/.exec(args.join(" "))?.[1]);
  assert.ok(wait > 0 && wait < (pod?.terminationGracePeriodSeconds ?? 0));
  assert.equal(pod?.hostPID, true);
  const mount = container?.volumeMounts?.find(({ mountPath }) => mountPath === "/host");
  assert.equal(mount?.mountPropagation, "HostToContainer");
  assert.ok(args.includes("--root=/host"));
  assert.ok(container?.image?.endsWith(`:${VERSION}`), container?.image);
  assert.equal(daemonSet.spec?.updateStrategy?.rollingUpdate?.maxSurge, 0);
});

test("the examples ask for mukon, and one for a rootless VMM in both spellings", () => {
  const pods = all<IPod>("Pod");
  assert.ok(pods.length >= 2);
  for (const one of pods) assert.equal(one.spec?.runtimeClassName, "mukon");
  const rootless = pods.find(({ metadata }) => metadata?.name === "rootless");
  for (const name of ROOTLESS_ANNOTATIONS) {
    assert.equal(rootless?.metadata?.annotations?.[name], "true", name);
  }
});

test("the kustomization names files that are there", () => {
  const text = readFileSync(join(DIRECTORY, "kustomization.yaml"), "utf8");
  const { resources } = parse(text) as { resources: string[] };
  for (const name of resources) assert.ok(existsSync(join(DIRECTORY, name)), name);
});
