// SPDX-License-Identifier: Apache-2.0
import { rmSync, writeSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { DeleteResponseSchema } from "../../generated/containerd/task_pb.ts";
import { tearDown } from "../../host/journal/tear-down.ts";
import { sandboxKey } from "../../host/sandbox-key.ts";
import type { ShimArguments } from "../arguments.ts";
import { shimSocketPath } from "../socket-path.ts";
import { KILLED_STATUS } from "../task/exits.ts";

/**
 * Removes all that a pod may have left: called after every container, after a shim was killed, and
 * by clients that give up. For a container in somebody else's pod there is nothing to do, since it
 * has neither a journal nor a socket of its own.
 * @throws TEARDOWN_INCOMPLETE
 */
export async function deleteLeftovers(options: ShimArguments): Promise<void> {
  await tearDown(sandboxKey(options));
  rmSync(shimSocketPath(options), { force: true });
}

/** The answer that containerd reads from standard output: killed, now. */
export function printDeleted(): void {
  const response = create(DeleteResponseSchema, {
    exitStatus: KILLED_STATUS,
    exitedAt: timestampFromDate(new Date()),
  });
  writeSync(1, toBinary(DeleteResponseSchema, response));
}
