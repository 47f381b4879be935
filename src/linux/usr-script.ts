// SPDX-License-Identifier: Apache-2.0

/**
 * Lines of a script that builds a root in the directory it stands in: /usr, and with it the names under
 * which programs look for its parts, links as on the host. `bind_read_only` must be defined, and `usr`
 * be there.
 */
export const USR_IN_ROOT = `\
bind_read_only /usr usr
for name in bin sbin lib lib32 lib64; do
  if [ -L "/$name" ]; then
    cp -P "/$name" "$name"
  elif [ -d "/$name" ]; then
    mkdir "$name"
    bind_read_only "/$name" "$name"
  fi
done`;
