// SPDX-License-Identifier: Apache-2.0
import { closeSync, writeSync } from "node:fs";
import { makePipe } from "../../linux/pipe.ts";

/**
 * Where a process waits for its jail: it must be there first, as the first of a pid namespace, for
 * only from in there can the jail get a /proc. Arguments: the door, setpriv, env, nsenter, what else that
 * is to enter, and the command. When the shim ends before it opens the door, there is no jail; when it
 * does so later, the process is killed. Shells leave words of their own in the environment, which env
 * clears.
 */
export const DOOR_SCRIPT = `
read -r mounts root <"$0" || exit 125
setpriv=$1 env=$2 nsenter=$3
shift 3
exec "$setpriv" --pdeathsig KILL -- "$env" -i "$nsenter" "--mount=$mounts" "--root=$root" "--wd=$root" "$@"
`;

/** A jail that nobody is in yet: descriptors hold it. */
export interface BuiltJail {
  mountNamespace: number;
  /** The directory that its processes have as their root. */
  root: number;
}

export interface Door {
  /** Where a process of root waits at it. */
  path: string;
  /** Lets it into the jail, as long as its descriptors are open. */
  open(jail: BuiltJail): void;
  /** Who still waits is turned away. */
  remove(): void;
}

export function makeDoor(): Door {
  const { readFd, writeFd } = makePipe();
  return {
    path: `/proc/${process.pid}/fd/${readFd}`,
    open: ({ mountNamespace, root }) => {
      const [mounts, directory] = [mountNamespace, root].map(
        (fd) => `/proc/${process.pid}/fd/${fd}`,
      );
      writeSync(writeFd, `${mounts} ${directory}\n`);
    },
    remove: () => {
      for (const fd of [readFd, writeFd]) closeSync(fd);
    },
  };
}
