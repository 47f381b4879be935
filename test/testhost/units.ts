// SPDX-License-Identifier: Apache-2.0

/** Units that a test host has no use for, each some tenths of a second of its emulated boot. */
export const MASKED_UNITS: readonly string[] = [
  ...["getty@.service", "serial-getty@.service", "console-getty.service", "getty.target"],
  ...["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"],
  ...["e2scrub_all.timer", "e2scrub_reap.service", "systemd-tmpfiles-clean.timer"],
  ...["systemd-pstore.service", "systemd-hwdb-update.service", "systemd-update-done.service"],
  ...["systemd-firstboot.service", "systemd-machine-id-commit.service", "ldconfig.service"],
  ...["systemd-hibernate-clear.service", "systemd-tpm2-setup.service"],
  ...["systemd-tpm2-setup-early.service", "systemd-pcrmachine.service", "systemd-binfmt.service"],
  ...["systemd-network-generator.service", "systemd-networkd-persistent-storage.service"],
  ...["systemd-journal-flush.service", "systemd-journal-catalog-update.service"],
  ...["systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-varlink.socket"],
  ...["systemd-networkd-wait-online.service", "nftables.service", "sshd-keygen.service"],
  ...["modprobe@configfs.service", "modprobe@drm.service", "modprobe@efi_pstore.service"],
  ...["modprobe@fuse.service", "sys-kernel-config.mount", "sys-kernel-debug.mount"],
  ...["sys-kernel-tracing.mount", "dev-mqueue.mount", "systemd-remount-fs.service"],
  ...["systemd-sysusers.service", "systemd-random-seed.service", "systemd-update-utmp.service"],
  ...["systemd-logind.service", "systemd-udev-load-credentials.service"],
  ...["systemd-boot-random-seed.service", "systemd-creds.socket", "systemd-hostnamed.socket"],
  ...["systemd-pcrextend.socket", "systemd-pcrlock.socket", "systemd-sysext.socket"],
  ...["systemd-sysext.service", "systemd-confext.service", "systemd-rfkill.socket"],
  ...["systemd-ask-password-console.path", "systemd-ask-password-wall.path"],
  ...["systemd-modules-load.service", "proc-sys-fs-binfmt_misc.automount", "run-lock.mount"],
  ...["docker-registry.service"],
];

/** Generators of systemd that look for what is not there. */
export const MASKED_GENERATORS: readonly string[] = [
  ...["ssh", "gpt-auto", "cryptsetup", "hibernate-resume", "debug", "tpm2", "bless-boot", "import"],
  ...["integritysetup", "veritysetup", "getty", "system-update", "rc-local", "sysv", "run"],
].map((name) => `systemd-${name}-generator`);

export const ENABLED_UNITS: readonly string[] = [
  "testhost-devices.service",
  "testhost-machine.service",
  "testhost-ready.service",
  "ssh.service",
  "containerd.service",
];
