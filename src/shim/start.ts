// SPDX-License-Identifier: Apache-2.0
// containerd waits for this program on each `start`: it imports as little as possible.
import { fstatSync, readFileSync, realpathSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { formatError, MukonError } from "../errors/mukon-error.ts";
import { noteProcessStart } from "../logging/moments.ts";
import { VERSION } from "../version.ts";
import { parseShimArguments, type ShimArguments } from "./arguments.ts";
import { shimSocketPath } from "./socket-path.ts";
import { podTypeOfBundle, writeAddress } from "./start/bundle.ts";
import { startDaemon } from "./start/daemon-process.ts";
import { isAlive, listenOn } from "./start/listen.ts";

const MAX_OPTIONS_BYTES = 64 * 1024;

async function main(): Promise<void> {
  const options = parseShimArguments(process.argv.slice(2));
  if (options.verb === "start") noteProcessStart("start");
  if (options.verb === "version") {
    writeSync(1, `containerd-shim-mukon-v2 ${VERSION}\n`);
  } else if (options.verb === "start") {
    const address = await start(options);
    // No newline: containerd takes every byte of this for the address.
    writeSync(1, address);
    // Not by itself: the listening socket would keep it alive, and closing it remove the path.
    process.exit(0);
  } else {
    await import(pathToFileURL(daemonProgram()).href);
  }
}

/** Returns the address at which the shim of the container answers. */
async function start(options: ShimArguments): Promise<string> {
  if (options.id === "" || options.namespace === "") {
    throw new MukonError("SHIM_ARGUMENTS", "start needs -namespace and -id");
  }
  const bundle = process.cwd();
  const type = podTypeOfBundle(bundle);
  const group = type.type === "container" ? type.sandboxId : options.id;
  const socket = shimSocketPath({ ...options, id: group });
  const address = `unix://${socket}`;
  if (type.type === "container") {
    if (!(await isAlive(socket))) throw notRunning(options.id, group);
  } else {
    await startShim({ ...options, bundle, socket });
  }
  writeAddress(bundle, address);
  return address;
}

async function startShim(options: ShimArguments): Promise<void> {
  const listening = await listenOn(options.socket);
  if (listening === undefined) return;
  const { namespace, address, id, bundle, socket } = options;
  try {
    await startDaemon({
      argv: [
        daemonProgram(),
        ...["-namespace", namespace, "-address", address, "-id", id],
        ...["-bundle", bundle, "-socket", socket, ...(options.isDebug ? ["-debug"] : [])],
        "serve",
      ],
      listening: listening.descriptor,
      options: readOptions(),
    });
  } catch (error) {
    rmSync(socket, { force: true });
    throw error;
  }
}

/**
 * Empty for a terminal: a person who tries the program by hand is not waited for.
 * @throws RUNTIME_OPTIONS_INVALID
 */
function readOptions(): Buffer {
  const options = readInput();
  if (options.length <= MAX_OPTIONS_BYTES) return options;
  throw new MukonError(
    "RUNTIME_OPTIONS_INVALID",
    `the runtime options have ${options.length} bytes; at most ${MAX_OPTIONS_BYTES} are taken`,
    { hint: "put the configuration into a file and name it by ConfigPath" },
  );
}

function readInput(): Buffer {
  try {
    return fstatSync(0).isCharacterDevice() ? Buffer.alloc(0) : readFileSync(0);
  } catch {
    return Buffer.alloc(0);
  }
}

function daemonProgram(): string {
  const directory = process.env.MUKON_PROGRAMS || dirname(realpathSync(process.argv[1] ?? "."));
  return join(directory, "shim-daemon.cjs");
}

function notRunning(id: string, sandboxId: string): MukonError {
  return new MukonError(
    "POD_NOT_RUNNING",
    `container ${id} is part of pod ${sandboxId}, whose shim is not running`,
    { hint: "the pod has ended; its client must make a new one" },
  );
}

main().catch((error: unknown) => {
  writeSync(2, `${formatError(error)}\n`);
  process.exit(1);
});
