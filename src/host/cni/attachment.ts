// SPDX-License-Identifier: Apache-2.0
import { readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import { writeFileAtomic } from "../../linux/atomic-file.ts";
import { run } from "../../linux/run.ts";
import type { CniNetwork } from "./networks.ts";
import {
  addToNetwork,
  type CniResult,
  type CniTarget,
  type PortMapping,
  removeFromNetwork,
} from "./plugin.ts";

/** Where `ip netns` keeps its names. */
const NAMES = "/run/netns";

/** Written before anything of it is made, so that it can be taken back by whoever finds it. */
interface AttachmentFile {
  network: CniNetwork;
  target: CniTarget;
  result?: CniResult;
}

const attachmentFile = v.looseObject({
  network: v.looseObject({
    name: v.string(),
    plugins: v.array(v.looseObject({ type: v.string() })),
  }),
  target: v.looseObject({
    id: v.string(),
    namespace: v.pipe(v.string(), v.regex(/^\/run\/netns\/mukon-[a-z0-9]+$/)),
    ports: v.array(v.unknown()),
  }),
});

/**
 * Makes a network namespace and joins it to a CNI network; what is made is written to `file` first.
 * When a plugin fails, all is undone.
 * @throws CNI_FAILED, CNI_PLUGIN_MISSING, PUBLISH_UNSUPPORTED
 */
export async function attachToNetwork(
  file: string,
  wanted: { id: string; network: CniNetwork; ports: readonly PortMapping[] },
): Promise<{ namespace: string; result: CniResult }> {
  const { id, network, ports } = wanted;
  const canPublish = network.plugins.some((one) => one.capabilities?.portMappings === true);
  if (ports.length > 0 && !canPublish) {
    throw new MukonError("PUBLISH_UNSUPPORTED", `the network ${network.name} publishes no ports`, {
      hint: 'add the plugin portmap with {"capabilities": {"portMappings": true}} to it',
    });
  }
  const target = { id, namespace: join(NAMES, `mukon-${id}`), ports };
  write(file, { network, target });
  try {
    await run(["ip", "netns", "add", basename(target.namespace)]);
    const result = await addToNetwork(network, target);
    write(file, { network, target, result });
    return { namespace: target.namespace, result };
  } catch (error) {
    await detachFromNetwork(file).catch(() => {});
    throw error;
  }
}

/**
 * Gives back addresses, ports and the namespace of what `file` names; idempotent. The namespace goes
 * in any case, the file only when all has gone.
 * @throws CNI_FAILED
 */
export async function detachFromNetwork(file: string): Promise<void> {
  const attachment = read(file);
  if (attachment === undefined) return;
  const { network, target, result } = attachment;
  try {
    await removeFromNetwork(network, target, result);
  } finally {
    await run(["ip", "netns", "del", basename(target.namespace)], { allowFailure: true });
  }
  rmSync(file, { force: true });
}

function write(file: string, content: AttachmentFile): void {
  writeFileAtomic(file, `${JSON.stringify(content)}\n`, { mode: 0o600 });
}

/** Only root writes there; that it makes sense is checked all the same. */
function read(file: string): AttachmentFile | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const parsed: unknown = JSON.parse(text);
  if (!v.is(attachmentFile, parsed)) {
    throw new MukonError("CNI_FAILED", `${file} makes no sense; what it names may be left`);
  }
  return parsed as unknown as AttachmentFile;
}
