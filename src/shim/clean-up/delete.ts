// SPDX-License-Identifier: Apache-2.0
import { rmSync, writeSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { DeleteResponseSchema } from "../../generated/containerd/task_pb.ts";
import { tearDown } from "../../host/journal/tear-down.ts";
import { sandboxKey } from "../../host/sandbox-key.ts";
import { listSandboxes } from "../../host/sandbox-state.ts";
import { createLogger } from "../../logging/logger.ts";
import type { ShimArguments } from "../arguments.ts";
import { ContainerHooks } from "../hooks/container-hooks.ts";
import { shimSocketPath } from "../socket-path.ts";
import { readBundleSpec } from "../task/bundle-spec.ts";
import { KILLED_STATUS } from "../task/exits.ts";

/**
 * Removes all that a pod may have left: called after every container, after a shim was killed, and
 * by clients that give up. For a container in somebody else's pod there is nothing to do, since it
 * has neither a journal nor a socket of its own.
 * @throws TEARDOWN_INCOMPLETE
 */
export async function deleteLeftovers(options: ShimArguments): Promise<void> {
  const key = sandboxKey(options);
  const wasAlive = listSandboxes().includes(key);
  await tearDown(key);
  if (wasAlive) await runLastHooks(options);
  rmSync(shimSocketPath(options), { force: true });
}

/**
 * What a pod's first container has asked for its end, when its shim has not come to it. Of others in
 * the pod it is not known; nobody knows such hooks there.
 */
async function runLastHooks({ id, bundle: given }: ShimArguments): Promise<void> {
  const bundle = given === "" ? process.cwd() : given;
  const log = createLogger({ component: "shim", sandboxId: id });
  try {
    const spec = readBundleSpec(bundle);
    await new ContainerHooks({ id, bundle, spec, log }).onFoundDead();
  } catch (error) {
    log.warn("the hooks for the end of a container are not known", { error });
  }
}

/** The answer that containerd reads from standard output: killed, now. */
export function printDeleted(): void {
  const response = create(DeleteResponseSchema, {
    exitStatus: KILLED_STATUS,
    exitedAt: timestampFromDate(new Date()),
  });
  writeSync(1, toBinary(DeleteResponseSchema, response));
}
