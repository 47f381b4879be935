// SPDX-License-Identifier: Apache-2.0
import { USR_IN_ROOT } from "../../linux/usr-script.ts";

/**
 * Runs as root in a new mount namespace: builds a root with nothing in it but the programs of /usr
 * (read-only), a /proc that shows a process nobody's but its own user's, and one directory of the
 * host's as /shared, and becomes the given program there. Arguments: an empty directory, the directory
 * to share, a program that may lie outside of /usr, then the command with its arguments.
 *
 * What is mounted below the shared directory later turns up in /shared; nothing goes the other way.
 * The old root is put over /shared and unmounted from there, so that the new root has no place for it;
 * the count at the end checks that it went, and that nothing else came along.
 */
export const MOUNT_ROOT_SCRIPT = `
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
root=$1 shared=$2 program=$3
shift 3
count=3
bind_read_only() {
  mount --bind "$1" "$2"
  mount -o remount,bind,ro,nosuid,nodev "$2"
  count=$((count + 1))
}
mount -t tmpfs -o size=1m,mode=0755,nosuid,nodev,noexec mukon "$root"
cd "$root"
mkdir usr proc shared
${USR_IN_ROOT}
case $program in
  /usr/*) ;;
  *)
    mkdir -p ".\${program%/*}"
    : >".$program"
    bind_read_only "$program" ".$program"
    ;;
esac
mount -t proc -o nosuid,nodev,noexec,hidepid=2 proc proc
mount --bind "$shared" shared
mount -o remount,ro "$root"
pivot_root . shared
umount -l shared
cd /
if [ "$(wc -l </proc/self/mountinfo)" != "$count" ]; then
  echo 'other mounts than those that were made are there' >&2
  exit 1
fi
exec "$@"
`;
