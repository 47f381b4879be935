// SPDX-License-Identifier: Apache-2.0
import type { Command } from "commander";
import { MukonError } from "../../errors/mukon-error.ts";
import { requireRoot } from "../io/root.ts";
import { checkRunOptions, type RawRunOptions } from "./run-options.ts";

const collect = (value: string, earlier: string[] = []): string[] => [...earlier, value];

export function addRunCommand(program: Command): void {
  program
    .command("run")
    .description("run a command in a new container, in a VM of its own")
    .argument(
      "[image]",
      "busybox, oci:DIR[:tag], oci-archive:FILE, docker-archive:FILE, or a registry reference",
    )
    .argument("[command...]", "the command and its arguments (default: what the image says)")
    .passThroughOptions()
    .option("-d, --detach", "leave it running in the background, and print its id")
    .option("--name <name>", "name of the container (default: a random one)")
    .option("--rm", "remove the container when it has ended")
    .option("-i, --interactive", "pass standard input on")
    .option(
      "-t, --tty",
      "give it a terminal (default with -i: when standard input and output are one)",
    )
    .option(
      "-e, --env <NAME=value>",
      "set an environment variable (NAME alone: take it from here)",
      collect,
    )
    .option("--env-file <file>", "read environment variables from a file", collect)
    .option("-w, --workdir <directory>", "working directory in the container")
    .option("-u, --user <user[:group]>", "user to run as, by name or number")
    .option("--entrypoint <program>", "run this instead of the image's entrypoint")
    .option("--memory <size>", "limit of memory, such as 512m")
    .option("--cpus <number>", "limit of processors, such as 1.5")
    .option("--pids-limit <number>", "limit of processes")
    .option("--hostname <name>", "host name of the container (default: its id)")
    .option("--read-only", "make its root file system read-only")
    .option(
      "--scratch <size>",
      "keep what it writes on a sparse disk of this size (default: in memory)",
    )
    .option(
      "-v, --volume <HOST:CONTAINER[:ro]>",
      "let it see a file, directory or block device of this host",
      collect,
    )
    .option(
      "--mount <type=…,source=…,target=…>",
      "the same, written as Docker's; also what is on a disk: type=ext4 or erofs, and tmpfs",
      collect,
    )
    .option(
      "--device <HOST[:CONTAINER[:r|rw]]>",
      "give it a block device, a disk image as one, or a VFIO group (/dev/vfio/N)",
      collect,
    )
    .option(
      "--network <network>",
      "none, a CNI network such as bridge, or the path of a network namespace (default: none)",
    )
    .option(
      "-p, --publish <[ADDRESS:]PORT:PORT[/udp]>",
      "lead a port of this host (of 127.0.0.1, unless told otherwise) to one of the container",
      collect,
    )
    .option(
      "--dns <address>",
      "name server of the container (default: as the network or this host has it)",
      collect,
    )
    .option("--annotation <KEY=VALUE>", "set an annotation of the pod", collect)
    .option("--config <file>", "configuration.toml to use")
    .option("--hypervisor <name>", "qemu")
    .option("--timeout <time>", "kill it after this time, such as 30s")
    .option("--pull <when>", "pull the image: missing, always or never")
    .option(
      "--rootfs <directory>",
      "use a copy of this directory as root file system; no image is named then",
    )
    .action(async (image: string | undefined, command: string[], raw: RawRunOptions) => {
      const options = checkRunOptions(raw);
      requireRoot("run");
      const words =
        options.rootfs === undefined || image === undefined ? command : [image, ...command];
      if (options.rootfs === undefined && image === undefined) {
        throw new MukonError("USAGE", "no image was named", {
          hint: "try: mukon run --rm busybox echo hello",
        });
      }
      const { runContainer } = await import("../container/run.ts");
      process.exitCode = await runContainer({ image: image ?? "", command: words, options });
    });
}
