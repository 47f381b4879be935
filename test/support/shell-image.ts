// SPDX-License-Identifier: Apache-2.0
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openGuest } from "../../guest/image/open.ts";
import { withMounted } from "./image-store.ts";
import { type LayoutOptions, writeLayout } from "./oci-layout.ts";
import { makeTar, type TarEntry } from "./tar.ts";

const APPLETS = ["sh", "cat", "echo", "env", "id", "pwd", "stty", "sleep"];

/** Writes an OCI layout of an image that has a shell, users and groups, and the given config. */
export async function writeShellImage(
  directory: string,
  options: Omit<LayoutOptions, "layers">,
): Promise<{ manifestDigest: string }> {
  return writeLayout(directory, { ...options, layers: [await shellLayer()] });
}

/** The same files as a tar archive. */
export async function writeShellTree(path: string): Promise<void> {
  writeFileSync(path, makeTar(await shellLayer()));
}

async function shellLayer(): Promise<TarEntry[]> {
  const { busyboxPath } = await openGuest();
  const busybox = await withMounted(busyboxPath, (root) => readFileSync(join(root, "bin/busybox")));
  return [
    { path: "etc", type: "directory" },
    { path: "etc/passwd", data: "root:x:0:0::/:/bin/sh\nweb:x:1000:1001::/srv:/bin/sh\n" },
    { path: "etc/group", data: "root:x:0:\nweb:x:1001:\nlog:x:50:web\n" },
    { path: "bin", type: "directory" },
    { path: "bin/busybox", data: busybox, mode: 0o755 },
    ...APPLETS.map((name) => ({
      path: `bin/${name}`,
      type: "symlink" as const,
      link: "busybox",
    })),
    { path: "srv", type: "directory", uid: 1000, gid: 1001 },
    { path: "tmp", type: "directory", mode: 0o1777 },
  ];
}
