// SPDX-License-Identifier: Apache-2.0
import { statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { FILE_IS_DISK } from "../../guest-protocol/oci/file-is-disk.ts";
import type { OciMount } from "../../guest-protocol/oci-spec.ts";
import { bindMount } from "../container/bind-mount.ts";
import { parseBytes, usage } from "../io/quantities.ts";

const DEVICE = "HOST[:CONTAINER[:r|rw]], a disk image, block device or VFIO group of this host";
const MOUNT =
  "type=bind|ext4|erofs|tmpfs,source=HOST,target=CONTAINER[,readonly], with tmpfs no source but tmpfs-size=SIZE";
const VFIO_GROUP = /^\/dev\/vfio\/\d+$/;
const DISK_FILE_SYSTEMS = ["ext4", "erofs"];
const TMPFS_SIZE = { least: 4096, most: 2 ** 44 };

/**
 * Reads Docker's `--device`: a VFIO group, or a disk, where the container sees it, and what it may do (`r`, `rw`; the
 * `m` of Docker's "rwm" is taken and means nothing more).
 * @throws USAGE
 */
export function parseDevice(text: string): OciMount {
  const [host = "", container = host, access = "rw", ...more] = text.split(":");
  const isRight = host !== "" && isAbsolute(container) && /^[rwm]{1,3}$/.test(access);
  if (!isRight || more.length > 0) throw usage("--device", text, DEVICE);
  const source = resolve(host);
  const status = statSync(source, { throwIfNoEntry: false });
  if (status?.isCharacterDevice() && VFIO_GROUP.test(source)) {
    return { source, destination: container, type: "bind", options: ["bind", "rw"] };
  }
  if (!status?.isFile() && !status?.isBlockDevice()) throw usage("--device", text, DEVICE);
  const options = ["bind", access.includes("w") ? "rw" : "ro", FILE_IS_DISK];
  return { source, destination: container, type: "bind", options };
}

/** Reads Docker's `--mount`, which can mount what is on a disk, too. @throws USAGE */
export function parseMount(text: string): OciMount {
  const fields = new Map<string, string>();
  for (const part of text.split(",")) {
    const [name = "", ...value] = part.split("=");
    const key = NAMES[name];
    if (key === undefined || fields.has(key)) throw usage("--mount", text, MOUNT);
    fields.set(key, value.join("="));
  }
  const mode = isReadOnly(fields.get("readonly")) ? "ro" : "rw";
  const type = fields.get("type") ?? "bind";
  const destination = fields.get("target") ?? "";
  const source = fields.get("source") ?? "";
  if (!isAbsolute(destination)) throw usage("--mount", text, MOUNT);
  if (type === "tmpfs" && source === "") {
    const size = fields.get("size");
    const bytes = size === undefined ? [] : [`size=${parseBytes("--mount", size, TMPFS_SIZE)}`];
    return { destination, source: "tmpfs", type, options: ["nosuid", "nodev", mode, ...bytes] };
  }
  if (source === "" || fields.has("size")) throw usage("--mount", text, MOUNT);
  if (type === "bind") {
    return bindMount(resolve(source), destination, mode);
  }
  if (!DISK_FILE_SYSTEMS.includes(type)) throw usage("--mount", text, MOUNT);
  return { destination, source: resolve(source), type, options: ["nosuid", "nodev", mode] };
}

/** Docker's other names for the same things. */
const NAMES: Readonly<Record<string, string>> = {
  type: "type",
  ...{ source: "source", src: "source" },
  ...{ target: "target", destination: "target", dst: "target" },
  ...{ readonly: "readonly", ro: "readonly" },
  "tmpfs-size": "size",
};

function isReadOnly(value: string | undefined): boolean {
  return value !== undefined && value !== "false" && value !== "0";
}
