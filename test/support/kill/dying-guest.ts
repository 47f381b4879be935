// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { writeCpio } from "../../../guest/image/cpio.ts";
import { openGuest } from "../../../guest/image/open.ts";
import type { PodWorld } from "../pod-world.ts";

/** When somebody in the guest kills the agent. */
export type AgentDeath = "booting" | "creating" | "running" | "removing";

/** What the container runs, by which the guest's own processes tell that it does. */
export const CONTAINER_COMMAND = ["tail", "-f", "/dev/null"] as const;

const INIT = "dying-init";
/** As the guest's own, but that the first program has somebody beside it. */
const INIT_SCRIPT = `#!/bin/busybox sh
/bin/busybox sed 's|^exec switch_root|cp /first-program /agent-killer /newroot/usr/sbin/init /newroot/run/\\nmount --bind /newroot/run/first-program /newroot/usr/sbin/init\\n&|' /init >/init.dying
exec /bin/busybox sh /init.dying
`;
const FIRST_PROGRAM = `#!/usr/bin/busybox sh
/usr/bin/busybox sh /run/agent-killer &
exec /usr/bin/busybox sh /run/init
`;
/** Nothing else in the guest is called as the container's program and the agent's are. */
const KILLER = `#!/usr/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
until_it() { until "$@" >/dev/null 2>&1; do sleep 0.02; done; }
case $agent_death in
booting) until_it pidof node ;;
creating)
  until_it pidof node
  # Without starting a program, which takes an emulated guest longer than to make a container.
  until [ -e "$1" ]; do set -- /run/mukon/bundles/*; done
  ;;
running) until_it pidof ${CONTAINER_COMMAND[0]} ;;
removing)
  until_it pidof ${CONTAINER_COMMAND[0]}
  while pidof ${CONTAINER_COMMAND[0]} >/dev/null; do :; done
  ;;
esac
kill -9 $(pidof node)
`;

/** Settings of [hypervisor.qemu] for a guest whose agent is killed at a moment of its pod's life. */
export async function makeDyingGuest(
  world: PodWorld,
): Promise<(death: AgentDeath) => Record<string, string>> {
  const guest = await openGuest();
  const archive = writeCpio([
    ...Object.entries({
      [INIT]: INIT_SCRIPT,
      "first-program": FIRST_PROGRAM,
      "agent-killer": KILLER,
    }).map(([path, text]) => ({
      ...{ kind: "file" as const, path, mode: 0o755 },
      data: Buffer.from(text),
    })),
  ]);
  const initrd = world.write("initrd", Buffer.concat([readFileSync(guest.initrdPath), archive]));
  return (death) => ({
    ...{ kernel: guest.kernelPath, initrd, image: guest.imagePath },
    kernel_params: `rdinit=/${INIT} agent_death=${death}`,
  });
}
