// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { writeCpio } from "../../guest/image/cpio.ts";
import { openGuest } from "../../guest/image/open.ts";
import type { PodWorld } from "./pod-world.ts";

export type Hostility = "console" | "garbage" | "length" | "endless" | "liar" | "immortal";

const AGENT = "hostile-agent.cjs";
const INIT = "hostile-init";
/** As the guest's own, but with another program in the agent's place. */
const INIT_SCRIPT = `#!/bin/busybox sh
/bin/busybox sed 's|^exec switch_root|cp /${AGENT} /newroot/run/\\nmount --bind /newroot/run/${AGENT} /newroot/usr/lib/mukon/agent.cjs\\n&|' /init >/init.hostile
exec /bin/busybox sh /init.hostile
`;

/**
 * Settings of [hypervisor.qemu] for a guest whose agent is one of `hostile-agents`. It is the true
 * guest but for the initrd, in which a second archive follows the first.
 */
export async function makeHostileGuest(
  world: PodWorld,
): Promise<(hostility: Hostility) => Record<string, string>> {
  const guest = await openGuest();
  const archive = writeCpio([
    { kind: "file", path: INIT, mode: 0o755, data: Buffer.from(INIT_SCRIPT) },
    { kind: "file", path: AGENT, mode: 0o644, data: bundleAgent() },
  ]);
  const initrd = world.write("initrd", Buffer.concat([readFileSync(guest.initrdPath), archive]));
  return (hostility) => ({
    ...{ kernel: guest.kernelPath, initrd, image: guest.imagePath },
    kernel_params: `rdinit=/${INIT} hostile=${hostility}`,
  });
}

function bundleAgent(): Buffer {
  const result = buildSync({
    entryPoints: [join(import.meta.dirname, "hostile-agents", "main.ts")],
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "node20",
    external: ["*.node"],
  });
  return Buffer.from(result.outputFiles[0]?.contents ?? []);
}
