// SPDX-License-Identifier: Apache-2.0
// Makes the files of a test host's image in a directory:
//   node --import tsx test/testhost/make-image.ts STAGE PACKAGES
// Started by build.ts in mount and pid namespaces of its own, which take every mount and process of
// the packages' scripts with them, however this ends.
import {
  chmod,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { GUEST_RELEASE, prepareApt, refreshIndex, sourcesText } from "../../guest/image/apt.ts";
import { findArchive } from "../../guest/image/archive.ts";
import {
  fetchPackage,
  resolveKernel,
  resolvePackages,
  unpackPackage,
} from "../../guest/image/packages.ts";
import { TreeWriter } from "../../guest/image/tree.ts";
import { formatError } from "../../src/errors/mukon-error.ts";
import { run } from "../../src/linux/run.ts";
import { writeHostInitrd } from "./initrd.ts";
import { IMAGE_FILES, KEY_ALIAS, ORDINARY_USER } from "./names.ts";
import { HOST_PACKAGES, LEFT_OUT } from "./packages.ts";
import { SYSTEM_FILES } from "./system-files.ts";
import { ENABLED_UNITS, MASKED_GENERATORS, MASKED_UNITS } from "./units.ts";

const DISK_BYTES = 6 * 2 ** 30;
const SUBORDINATE_IDS = `${ORDINARY_USER}:100000:65536\n`;
const UNPACKED_AT_ONCE = 100;
const signal = new AbortController().signal;
const log = (line: string): void => console.error(`testhost: ${line}`);

/** Installs the packages into a directory; their scripts run in there, as root. */
async function installPackages(treePath: string): Promise<void> {
  log(
    `Installing Debian ${GUEST_RELEASE} in a directory (${HOST_PACKAGES.length} packages and what they need)`,
  );
  const argv = [
    ...["mmdebstrap", "--mode=root", "--variant=minbase", "--architectures=amd64", "--quiet"],
    ...['--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Retries "5"'],
    ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
    `--include=${HOST_PACKAGES.join(",")}`,
    ...[GUEST_RELEASE, treePath, "-"],
  ];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await run(argv, { input: sourcesText(await findArchive()), env });
  await rm(join(treePath, "etc/apt/apt.conf.d/99mmdebstrap"), { force: true });
}

/** Unpacks the kernel without installing it: an initramfs of its own is not needed. */
async function unpackKernel(
  treePath: string,
  packagesPath: string,
  workPath: string,
): Promise<string> {
  const apt = await prepareApt(packagesPath, await findArchive(), signal);
  await refreshIndex(apt, log);
  const kernel = await resolveKernel(apt);
  const directory = join(workPath, "kernel");
  await mkdir(directory);
  await unpackPackage(await fetchPackage(apt, kernel, log), directory, signal);
  const busybox = (await resolvePackages(apt, ["busybox-static"])).find(
    ({ name }) => name === "busybox-static",
  );
  if (busybox === undefined) throw new Error("the archive has no busybox-static");
  await unpackPackage(await fetchPackage(apt, busybox, log), directory, signal);
  const [release] = await readdir(join(directory, "usr/lib/modules"));
  if (release === undefined) throw new Error(`${kernel.name} holds no modules`);
  await unpackModules(join(directory, "usr/lib/modules", release));
  await cp(join(directory, "usr/lib/modules"), join(treePath, "usr/lib/modules"), {
    recursive: true,
  });
  await run(["chroot", treePath, "depmod", release]);
  return release;
}

/** Unpacked here, once: xz is slow where each instruction is emulated. */
async function unpackModules(path: string): Promise<void> {
  const names = (await readdir(path, { recursive: true })).filter((name) => name.endsWith(".xz"));
  for (let start = 0; start < names.length; start += UNPACKED_AT_ONCE) {
    const some = names.slice(start, start + UNPACKED_AT_ONCE).map((name) => join(path, name));
    await run(["xz", "--decompress", ...some]);
  }
}

async function configure(treePath: string, stagePath: string): Promise<void> {
  const tree = new TreeWriter(treePath);
  for (const [path, { content, mode }] of Object.entries(SYSTEM_FILES)) {
    await rm(tree.pathOf(path), { force: true });
    await tree.file(path, content, mode);
  }
  await run(["chroot", treePath, "systemctl", "--quiet", "enable", ...ENABLED_UNITS]);
  // Names that this release does not have are masked all the same.
  await run(["chroot", treePath, "systemctl", "--quiet", "mask", ...MASKED_UNITS]);
  await run(["chroot", treePath, "systemctl", "--quiet", "set-default", "multi-user.target"]);
  for (const name of MASKED_GENERATORS) {
    await tree.link(`etc/systemd/system-generators/${name}`, "/dev/null");
  }
  await addOrdinaryUser(tree);
  await makeKeys(tree, stagePath);
}

async function addOrdinaryUser(tree: TreeWriter): Promise<void> {
  // Not "!": without PAM the server refuses locked accounts.
  const argv = ["useradd", "--create-home", "--shell", "/bin/bash", "--groups", "kvm"];
  await run(["chroot", tree.pathOf("."), ...argv, "--password", "*", ORDINARY_USER]);
  for (const path of ["etc/subuid", "etc/subgid"]) await tree.file(path, SUBORDINATE_IDS);
}

/** A key of this image alone: whoever cannot read the cache directory cannot log in. */
async function makeKeys(tree: TreeWriter, stagePath: string): Promise<void> {
  const clientKey = join(stagePath, IMAGE_FILES.clientKey);
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", KEY_ALIAS, "-f", clientKey]);
  const hostKey = tree.pathOf("etc/ssh/ssh_host_ed25519_key");
  for (const name of await readdir(tree.pathOf("etc/ssh"))) {
    if (name.startsWith("ssh_host_")) await rm(tree.pathOf(`etc/ssh/${name}`));
  }
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", KEY_ALIAS, "-f", hostKey]);
  const [type, key] = (await readFile(`${hostKey}.pub`, "utf8")).split(" ");
  await writeFile(join(stagePath, IMAGE_FILES.knownHosts), `${KEY_ALIAS} ${type} ${key}\n`);
  const authorized = await readFile(`${clientKey}.pub`);
  for (const home of ["root", `home/${ORDINARY_USER}`]) {
    await tree.directory(`${home}/.ssh`, 0o700);
    await tree.file(`${home}/.ssh/authorized_keys`, authorized, 0o600);
  }
  await chmod(tree.pathOf("root"), 0o700);
  const owner = `${ORDINARY_USER}:${ORDINARY_USER}`;
  await run(["chroot", tree.pathOf("."), "chown", "--recursive", owner, `/home/${ORDINARY_USER}`]);
}

async function makeDisk(treePath: string, path: string): Promise<void> {
  log("Writing the disk");
  await writeFile(path, "");
  await truncate(path, DISK_BYTES);
  const features = ["-O", "^has_journal,^metadata_csum", "-E", "lazy_itable_init=0,nodiscard"];
  await run(["mkfs.ext4", "-q", ...features, "-m", "0", "-L", "root", "-d", treePath, path]);
}

async function makeImage(stagePath: string, packagesPath: string): Promise<void> {
  const workPath = join(stagePath, "work");
  const treePath = join(workPath, "tree");
  await mkdir(treePath, { recursive: true });
  await installPackages(treePath);
  const release = await unpackKernel(treePath, packagesPath, workPath);
  await configure(treePath, stagePath);
  const kernelPath = join(workPath, "kernel");
  await rename(join(kernelPath, "boot", `vmlinuz-${release}`), join(stagePath, IMAGE_FILES.kernel));
  await writeHostInitrd({
    path: join(stagePath, IMAGE_FILES.initrd),
    busyboxPath: join(kernelPath, "usr/bin/busybox"),
    modulesPath: join(kernelPath, "usr/lib/modules", release),
    workPath,
  });
  await makeDisk(treePath, join(stagePath, IMAGE_FILES.disk));
  await rm(workPath, { recursive: true });
}

const [stage, packages] = process.argv.slice(2);
try {
  if (stage === undefined || packages === undefined)
    throw new Error("STAGE and PACKAGES are missing");
  await makeImage(stage, packages);
} catch (error) {
  console.error(`error: ${formatError(error)}`);
  process.exitCode = 1;
}
