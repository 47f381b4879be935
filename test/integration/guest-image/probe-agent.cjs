// SPDX-License-Identifier: Apache-2.0
// Stands in for the agent: prints what it finds in the guest as one line of JSON, and ends.
const { execFileSync, spawn } = require("node:child_process");
const { existsSync, mkdirSync, readdirSync, readFileSync, statSync } = require("node:fs");

const read = (path) => readFileSync(path, "utf8").trim();
const attempt = (action) => {
  try {
    return String(action()).trim();
  } catch (error) {
    return `failed: ${error.message} ${error.stderr ?? ""}`;
  }
};
const run = (...argv) => attempt(() => execFileSync(argv[0], argv.slice(1), { encoding: "utf8" }));
const waitFor = async (check) => {
  for (let tries = 0; tries < 300 && !check(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** States of all processes but kernel threads: "Z" would be one that nobody reaps. */
const states = () =>
  readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map(
      (pid) =>
        attempt(() => read(`/proc/${pid}/stat`))
          .replace(/^.*\) /, "")
          .split(" ")[0],
    );

/** A process whose parent ends before it does, so that it falls to PID 1. */
const makeOrphan = () =>
  new Promise((resolve) => {
    spawn("/bin/sh", ["-c", "sleep 0.2 & exit 0"], { stdio: "ignore" }).on("exit", resolve);
  });

/** Mounts the built-in container image, if it is attached, under an overlay. */
const tryContainerImage = () => {
  if (!existsSync("/dev/vda")) return undefined;
  for (const name of ["lower", "upper", "work", "root"])
    mkdirSync(`/run/test/${name}`, { recursive: true });
  const layers = "lowerdir=/run/test/lower,upperdir=/run/test/upper,workdir=/run/test/work";
  return {
    lower: run("mount", "-t", "erofs", "-o", "ro", "/dev/vda", "/run/test/lower"),
    overlay: run("mount", "-t", "overlay", "-o", layers, "overlay", "/run/test/root"),
    echo: run("/run/test/root/bin/echo", "from the container image"),
    links: statSync("/run/test/root/bin/busybox").nlink,
    tmpMode: (statSync("/run/test/root/tmp").mode & 0o7777).toString(8),
    passwd: read("/run/test/root/etc/passwd").split("\n")[0],
  };
};

const main = async () => {
  await makeOrphan();
  const isLoopbackUp = () => run("/sbin/ip", "addr", "show", "lo").includes("127.0.0.1");
  await waitFor(() => /^overlay /m.test(read("/proc/modules")) && isLoopbackUp());
  await new Promise((resolve) => setTimeout(resolve, 500));
  const facts = {
    node: process.version,
    parent: process.ppid,
    uptimeSeconds: Number(read("/proc/uptime").split(" ")[0]),
    mounts: read("/proc/mounts").split("\n"),
    crun: run("/usr/bin/crun", "--version").split("\n")[0],
    zombies: states().filter((state) => state === "Z").length,
    loopback: isLoopbackUp(),
    controllers: read("/sys/fs/cgroup/cgroup.subtree_control"),
    autoload: run("/sbin/modprobe", "virtio_net"),
    descriptors: run("/bin/sh", "-c", "ulimit -n"),
    writable: attempt(() => mkdirSync("/usr/x")),
    dax: attempt(() => read("/proc/mounts").includes("dax=always")),
    image: tryContainerImage(),
  };
  console.log(`\nFACTS ${JSON.stringify(facts)}`);
  setTimeout(() => process.exit(7), 50);
};
main();
