// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { Handlers } from "../control/handlers.ts";
import { asking } from "../guest/guest-error.ts";
import type { KeeperContext } from "./context.ts";

/** The agent's words for a process that ended just before the signal came. */
const NO_SUCH_PROCESS = "ESRCH: No such process";

type ProcessHandlers = Pick<Handlers, "signal" | "resize" | "closeStdin">;

/** Requests about one process: a container's first, or an exec. */
export function processRequests(context: KeeperContext): ProcessHandlers {
  const { containers } = context;
  const { agent } = context.guest;
  return {
    signal: async ({ containerId, execId, signal, all }) => {
      const { address } = containers.getProcess(containerId, execId);
      // To the agent, no id means every process of the container.
      const request = { containerId, execId: all ? "" : address.execId, signal };
      try {
        await asking("signal the process", agent.call("signalProcess", request));
      } catch (error) {
        if (!(error instanceof MukonError && error.message.includes(NO_SUCH_PROCESS))) throw error;
      }
      return {};
    },
    resize: async ({ containerId, execId, width, height }) => {
      const { address } = containers.getProcess(containerId, execId);
      const request = { ...address, row: height, column: width };
      await asking("resize the terminal", agent.call("ttyWinResize", request));
      return {};
    },
    closeStdin: async ({ containerId, execId }) => {
      containers.getProcess(containerId, execId).closeStdin();
      return {};
    },
  };
}
