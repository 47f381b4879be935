// SPDX-License-Identifier: Apache-2.0
import type { KeeperSockets } from "./keeper.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";
import type { VmmSockets } from "./vmm.ts";

/** Both ends of every socket in a pod; nothing of it has a name in the file system. */
export interface PodSockets {
  shim: { control: number; descriptors: number };
  keeper: KeeperSockets;
  vmm: VmmSockets;
}

/** Makes the sockets that tie shim, keeper and VMM together. */
export function makePodSockets(descriptors: OwnedDescriptors): PodSockets {
  const control = descriptors.socketPair();
  const passing = descriptors.socketPair();
  const qmp = descriptors.socketPair();
  const agent = descriptors.socketPair();
  const console = descriptors.socketPair();
  return {
    shim: { control: control[0], descriptors: passing[0] },
    keeper: {
      control: control[1],
      descriptors: passing[1],
      qmp: qmp[0],
      agent: agent[0],
      console: console[0],
    },
    vmm: { qmp: qmp[1], agent: agent[1], console: console[1] },
  };
}
