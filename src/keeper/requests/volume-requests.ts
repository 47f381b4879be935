// SPDX-License-Identifier: Apache-2.0
import { volumePath } from "../../guest-protocol/volumes.ts";
import type { MethodParams } from "../../sandbox/messages/methods.ts";
import type { Handlers } from "../control/handlers.ts";
import { asking } from "../guest/guest-error.ts";
import type { KeeperContext } from "./context.ts";

const DIRECTORY_MODE = 0o755;
/** stat(2); "nothing" as overlayfs says it, with a character device. */
const TYPES = { file: 0o100000, directory: 0o040000, link: 0o120000, nothing: 0o020000 } as const;

/** Requests about files of the host that are copied into the guest. */
export function volumeRequests(context: KeeperContext): Pick<Handlers, "putVolumeEntry"> {
  return {
    putVolumeEntry: async (entry) => {
      const { volume, path, mode, uid, gid, fileSize, offset, data } = entry;
      const request = {
        path: volumePath(volume, path),
        fileMode: typeOf(entry) | mode,
        dirMode: DIRECTORY_MODE,
        uid,
        gid,
        fileSize: BigInt(fileSize),
        offset: BigInt(offset),
        data: Buffer.from(data, "base64"),
      };
      await asking("take a file of a volume", context.guest.agent.call("copyFile", request));
      return {};
    },
  };
}

/** A file that is mounted by itself must stay the same one: no type asks the agent for that. */
function typeOf({ kind, path }: MethodParams<"putVolumeEntry">): number {
  return kind === "file" && path === "" ? 0 : TYPES[kind];
}
