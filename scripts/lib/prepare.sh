# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What quickstart and test share: install what is missing, build, put mukon on the PATH.
# Sourced with the repository as working directory.

# What mukon needs at run time and to build its guest image.
RUNTIME_PACKAGES="debian-archive-keyring qemu-system-x86 util-linux passwd e2fsprogs erofs-utils iproute2 skopeo umoci zstd xz-utils ca-certificates"
# Debian 12 has it in a package that QEMU brings along.
case $(. /etc/os-release 2>/dev/null && printf '%s' "${VERSION_ID-}") in
  12*) ;;
  *) RUNTIME_PACKAGES="$RUNTIME_PACKAGES virtiofsd" ;;
esac
# What only the tests need: a second runtime, and real clients.
TEST_PACKAGES="containerd runc attr libcap2-bin containernetworking-plugins iptables libnss-systemd passt python3 docker-registry strace"
# What makes and drives the test host (scripts/testhost).
TESTHOST_PACKAGES="mmdebstrap openssh-client"

INSTALL_DIRECTORY=/usr/local/lib/mukon
NEEDED_NODE=20.19.0

say() { printf '\n==> %s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  hint: %s\n' "$line" >&2; done
  exit 1
}

require_root() {
  [ "$(id -u)" = 0 ] || fail "this script installs packages and starts VMs, so it needs root" \
    "run it again as: sudo $0"
}

require_debian() {
  command -v apt-get >/dev/null 2>&1 || fail "apt-get is not there: only Debian 12 and 13 are supported" \
    "install by hand: $RUNTIME_PACKAGES"
}

# Prints the packages of its arguments that are not installed.
missing_packages() {
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' ||
      printf '%s ' "$package"
  done
}

# Installs the packages of its arguments that are missing; fast when there is none.
install_packages() {
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  say "Installing Debian packages: $missing"
  apt_get update
  # shellcheck disable=SC2086 # a list of names
  apt_get install --yes --no-install-recommends $missing
}

# apt-get without questions, quiet unless it fails.
apt_get() {
  log=$(mktemp)
  if DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" \
    >"$log" 2>&1 </dev/null; then
    rm -f "$log"
  else
    cat "$log" >&2
    rm -f "$log"
    fail "apt-get $1 failed (its output is above)" "check the network and /etc/apt, then run this script again"
  fi
}

require_node() {
  if ! command -v node >/dev/null 2>&1; then
    install_packages nodejs
  fi
  node -e '
    const parts = (text) => text.split(".").map(Number);
    const [have, need] = [parts(process.versions.node), parts(process.argv[1])];
    const order = have[0] - need[0] || have[1] - need[1] || have[2] - need[2];
    process.exit(order < 0 ? 1 : 0);
  ' "$NEEDED_NODE" || fail "Node $(node --version) is too old: mukon needs $NEEDED_NODE or newer" \
    "Debian 13 has it (apt-get install nodejs npm); on Debian 12 take it from the Node project"
}

# npm packages as the lock file has them. Not `npm ci`: it insists on the optional packages of all
# other platforms, which a mirror may not carry.
install_npm_packages() {
  stamp=node_modules/.mukon-lock
  if [ -e "$stamp" ] && cmp -s package-lock.json "$stamp"; then return 0; fi
  # Debian's npm is hundreds of packages, so it is asked for only when there is work for it.
  command -v npm >/dev/null 2>&1 || install_packages npm
  say "Installing npm packages"
  npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null ||
    fail "npm install failed (its output is above)" "check the network, then run this script again"
  cp package-lock.json "$stamp"
}

build_programs() {
  say "Building the programs (dist/)"
  node scripts/build.mjs
}

# Copies the programs to a place that unprivileged processes can read, and links the two commands.
install_programs() {
  say "Installing mukon in $INSTALL_DIRECTORY"
  node scripts/install.mjs
}

build_guest() {
  say "Building the guest image (kernel, crun, busybox and Node out of Debian packages)"
  mukon guest build
}
