// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "../../logging/logger.ts";
import type { KeeperEvent } from "../../sandbox/messages/events.ts";
import type { Guest } from "../guest/guest.ts";
import type { Containers } from "../process/containers.ts";

/** What all requests work on. */
export interface KeeperContext {
  guest: Pick<
    Guest,
    | "agent"
    | "disks"
    | "cards"
    | "hostDevices"
    | "attachSharedFs"
    | "boot"
    | "saveState"
    | "connect"
  >;
  containers: Containers;
  send: (event: KeeperEvent) => void;
  logger: Logger;
  /** Called when the guest's end is wanted, and so no news any more. */
  expectEnd: () => void;
}
