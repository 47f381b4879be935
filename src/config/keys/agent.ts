// SPDX-License-Identifier: Apache-2.0
import { flag, integer, integerOrZero, textList } from "../kinds.ts";
import { accepted, active } from "./define.ts";

/** [agent.kata]: the agent in the guest. */
export const AGENT_KEYS = {
  dialTimeout: active({
    kind: integerOrZero(1, 3600),
    default: 0,
    about:
      "Seconds the guest has to boot and its agent to answer. 0 stands for 45, or 180 where the guest is emulated.",
  }),
  enableDebug: accepted({
    kind: flag(),
    default: false,
    about: "Let the agent log more.",
  }),
  kernelModules: accepted({
    kind: textList({
      pattern: /^[A-Za-z0-9_-]+( [\x21-\x7e]+)*$/,
      accepts: 'a list of "module parameter=value …"',
      separator: ";",
    }),
    default: [],
    about: "Kernel modules the agent loads, each with its parameters.",
    annotation: {},
  }),
  debugConsoleEnabled: accepted({
    kind: flag(),
    default: false,
    about: "Offer a shell in the guest to root on the host.",
  }),
  containerPipeSize: accepted({
    kind: integer(0, 1_048_576),
    default: 0,
    about:
      "Size in bytes of the pipes between a container and the agent. 0 stands for the kernel's.",
    annotation: {},
  }),
};
