// SPDX-License-Identifier: Apache-2.0
import { Socket } from "node:net";
import { createLogger } from "../logging/logger.ts";
import { KEEPER_DESCRIPTORS } from "../sandbox/messages/limits.ts";
import { confineKeeper } from "./confinement/confine.ts";
import { descriptorInbox } from "./control/descriptor-inbox.ts";
import { Keeper } from "./keeper.ts";

const logger = createLogger({ component: "keeper" });

function stream(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: true });
}

async function main(): Promise<void> {
  confineKeeper();
  const keeper = new Keeper({
    control: stream(KEEPER_DESCRIPTORS.control),
    takeDescriptors: descriptorInbox(KEEPER_DESCRIPTORS.descriptors),
    streams: {
      qmp: stream(KEEPER_DESCRIPTORS.qmp),
      qmpFd: KEEPER_DESCRIPTORS.qmp,
      agent: stream(KEEPER_DESCRIPTORS.agent),
      console: stream(KEEPER_DESCRIPTORS.console),
    },
    logger,
  });
  // What nobody thought of costs this pod, and says so.
  const fail = (error: unknown): void => {
    logger.error("the keeper failed", { error });
    const known = error instanceof Error ? error : new Error(String(error));
    void keeper.reportLost(known).finally(() => setTimeout(() => process.exit(1), 100));
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  const error = await keeper.run();
  if (error !== undefined) logger.error("shim and keeper are out of step", { error });
  process.exit(error === undefined ? 0 : 1);
}

main().catch((error: unknown) => {
  logger.error("the keeper could not start", { error });
  process.exit(1);
});
