// SPDX-License-Identifier: Apache-2.0
// Pods by containerd's own CRI plugin. The node, and the template that its pods are clones of, are made
// once for all suites.
import assert from "node:assert/strict";
import { after, before, suite } from "node:test";
import { whyNoContainerd } from "../../support/containerd-release.ts";
import { CriNode } from "../../support/cri/node.ts";
import { cannotNetwork } from "../../support/network-world.ts";
import { badInput } from "./bad-input.ts";
import { blockVolumes } from "./block-volumes.ts";
import { containers } from "./containers.ts";
import { endings } from "./endings.ts";
import { networks } from "./networks.ts";
import { resources } from "./resources.ts";

const skip = whyNoContainerd() ?? cannotNetwork;
let started: CriNode | undefined;
const node = (): CriNode => {
  assert.ok(started);
  return started;
};

suite("a node", { skip }, () => {
  before(async () => {
    started = await CriNode.start();
  });
  after(async () => await started?.end());
  containers(node);
  resources(node);
  blockVolumes(node);
  endings(node);
  badInput(node);
  networks(node);
});
