// SPDX-License-Identifier: Apache-2.0
import { USR_IN_ROOT } from "../../linux/usr-script.ts";

/**
 * Builds, in a mount and pid namespace of its own, a root with nothing in it but the programs of
 * /usr (read-only), a work directory, and what is to be read, and then becomes the given program.
 * Arguments: an empty directory, the work directory, what to read ("" for nothing), `network` or
 * "", then the program with its arguments.
 *
 * The old root is put over /workspace and unmounted from there, so that the new root has no place for
 * it. The count at the end checks that it went: umount(8) has failed silently here.
 */
export const JAIL_SCRIPT = `
set -eu
jail=$1 work=$2 input=$3 network=$4
shift 4
bind_read_only() {
  mount --bind "$1" "$2"
  mount -o remount,bind,ro,nosuid,nodev "$2"
}
mount -t tmpfs -o size=8m,mode=0755,nosuid,nodev,noexec mukon-images "$jail"
cd "$jail"
mkdir usr proc workspace dev etc
${USR_IN_ROOT}
for name in null zero urandom; do
  : >"dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
mount -t proc -o nosuid,nodev,noexec proc proc
if [ -d "$input" ]; then
  mkdir input
  bind_read_only "$input" input
elif [ -n "$input" ]; then
  : >input
  bind_read_only "$input" input
fi
mkdir etc/docker
bind_settings() {
  if [ -d "/etc/$1" ]; then
    mkdir "etc/$1"
    bind_read_only "/etc/$1" "etc/$1"
  fi
}
bind_settings containers
if [ -n "$network" ]; then
  for name in resolv.conf hosts; do
    if [ -e "/etc/$name" ]; then cp -L "/etc/$name" "etc/$name"; fi
  done
  echo 'hosts: files dns' >etc/nsswitch.conf
  for name in ssl ca-certificates docker/certs.d; do bind_settings "$name"; done
fi
mount --bind "$work" workspace
mount -o remount,bind,nosuid,nodev,noexec workspace
mount -o remount,ro "$jail"
pivot_root . workspace
umount -l workspace
cd /
if [ "$(grep -c ' /workspace ' /proc/self/mountinfo)" != 1 ]; then
  echo 'the old root is still there' >&2
  exit 1
fi
exec "$@"
`;
