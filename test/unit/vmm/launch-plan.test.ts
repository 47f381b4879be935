// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { DiskSlots } from "../../../src/vmm/qemu/disk-slots.ts";
import type { QemuLaunchInput } from "../../../src/vmm/qemu/launch-input.ts";
import { planQemuLaunch } from "../../../src/vmm/qemu/launch-plan.ts";

const INPUT: QemuLaunchInput = {
  qemuPath: "/usr/bin/qemu-system-x86_64",
  accelerator: "tcg",
  vcpus: 2,
  memoryMib: 512,
  imageSizeBytes: 128 * 1024 * 1024,
};

function optionValue(argv: readonly string[], option: string): string {
  return argv[argv.indexOf(option) + 1] ?? "";
}

test("the guest waits for the keeper, under QEMU's seccomp filter, without QEMU's defaults", () => {
  const { argv } = planQemuLaunch(INPUT);
  for (const flag of ["-S", "-nodefaults", "-no-user-config", "-no-reboot"]) {
    assert.ok(argv.includes(flag), flag);
  }
  assert.equal(
    optionValue(argv, "-sandbox"),
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
  );
  assert.equal(optionValue(argv, "-display"), "none");
});

test("nothing of the host's is named by a path", () => {
  for (const imageDriver of ["virtio-pmem", "virtio-blk"] as const) {
    const { argv } = planQemuLaunch({ ...INPUT, imageDriver });
    const paths = argv.slice(1).flatMap((word) => word.match(/\/[^,= ]+/g) ?? []);
    assert.ok(paths.length > 0);
    for (const path of paths) assert.match(path, /^\/(proc\/self\/fd|dev\/fdset)\/\d+$/);
  }
});

test("each descriptor is used, under the number that its place gives it", () => {
  const { argv, descriptors } = planQemuLaunch(INPUT);
  const words = argv.join(" ");
  const number = (slot: (typeof descriptors)[number]): number => 3 + descriptors.indexOf(slot);
  for (const slot of ["qmp", "agent", "console"] as const) {
    assert.ok(words.includes(`socket,id=${slot},fd=${number(slot)}`), slot);
  }
  assert.equal(optionValue(argv, "-kernel"), `/proc/self/fd/${number("kernel")}`);
  assert.equal(optionValue(argv, "-initrd"), `/proc/self/fd/${number("initrd")}`);
  const objects = argv.filter((word) => word.startsWith("memory-backend-file,"));
  const file = (slot: (typeof descriptors)[number]): string =>
    `mem-path=/proc/self/fd/${number(slot)}`;
  assert.equal(objects.length, 2);
  assert.ok(objects[0]?.endsWith(`${file("memory")},share=on`), objects[0]);
  assert.ok(objects[1]?.endsWith(`${file("image")},readonly=on,share=on`), objects[1]);
});

test("a template's memory is mapped for this VMM alone, from a file that it cannot write", () => {
  const own = planQemuLaunch({ ...INPUT, isClone: true }).argv;
  const view = planQemuLaunch({ ...INPUT, isClone: true, memory: "template" }).argv;
  const differing = view.filter((word, index) => word !== own[index]);
  assert.equal(differing.length, 1, "the machine is another one");
  assert.match(differing[0] ?? "", /^memory-backend-file,id=ram,.*,share=off,readonly=on,rom=off$/);
});

test("the guest image cannot be written, whatever it is attached as", () => {
  assert.match(planQemuLaunch(INPUT).argv.join(" "), /memory-backend-file,[^ ]*readonly=on/);
  const { argv } = planQemuLaunch({ ...INPUT, imageDriver: "virtio-blk" });
  assert.match(optionValue(argv, "-blockdev"), /read-only=on/);
});

test("accelerator, processors, memory and the user's words reach QEMU", () => {
  const { argv } = planQemuLaunch({
    ...INPUT,
    accelerator: "kvm",
    vcpus: 3,
    memoryMib: 1024,
    cpuFeatures: "-arch-capabilities",
    machineAccelerators: "x-oem-id=MUKON",
    kernelParams: "agent.hotplug_timeout=9 mitigations=auto",
  });
  assert.equal(optionValue(argv, "-accel"), "kvm");
  assert.equal(optionValue(argv, "-cpu"), "host,pmu=off,-arch-capabilities");
  assert.match(optionValue(argv, "-machine"), /^q35,.*,x-oem-id=MUKON$/);
  assert.match(optionValue(argv, "-smp"), /^3,/);
  assert.match(optionValue(argv, "-m"), /^size=1024M,slots=1,maxmem=\d+M$/);
  // The last of a kind wins in the kernel.
  assert.match(optionValue(argv, "-append"), /mitigations=off .*mitigations=auto$/);
});

test("KVM comes as a descriptor where QEMU takes it so, behind all that was there before", () => {
  const kvm = { ...INPUT, accelerator: "kvm" } as const;
  for (const isClone of [false, true]) {
    const { argv, descriptors } = planQemuLaunch({ ...kvm, isClone, kvmAccess: "descriptor" });
    assert.equal(descriptors.at(-1), "kvm");
    assert.equal(optionValue(argv, "-add-fd"), `fd=${2 + descriptors.length},set=2`);
    assert.equal(optionValue(argv, "-accel"), "kvm,device=/dev/fdset/2");
    const byGroup = planQemuLaunch({ ...kvm, isClone, kvmAccess: "group" });
    assert.deepEqual(byGroup.descriptors, descriptors.slice(0, -1));
    assert.equal(optionValue(byGroup.argv, "-accel"), "kvm");
  }
  const emulated = planQemuLaunch({ ...INPUT, kvmAccess: "descriptor" });
  assert.deepEqual(emulated, planQemuLaunch(INPUT));
});

test("a machine has room for the processors that it may get, and begins with those that it has", () => {
  for (const [vcpus, mostVcpus, room] of [
    [1, 8, 8],
    [4, 2, 4],
  ] as const) {
    const { argv, descriptors } = planQemuLaunch({ ...INPUT, vcpus, mostVcpus });
    const smp = `${vcpus},maxcpus=${room},sockets=1,cores=${room},threads=1`;
    assert.equal(optionValue(argv, "-smp"), smp);
    const number = 3 + descriptors.indexOf("processors");
    assert.equal(optionValue(argv, "-acpitable"), `file=/proc/self/fd/${number}`);
    assert.match(optionValue(argv, "-append"), new RegExp(` maxcpus=${vcpus} `));
  }
});

test("debugging makes kernel and agent talk", () => {
  assert.match(optionValue(planQemuLaunch(INPUT).argv, "-append"), / quiet$/);
  const debug = optionValue(planQemuLaunch({ ...INPUT, isDebug: true }).argv, "-append");
  assert.match(debug, / debug agent\.log=debug$/);
});

test("settings that QEMU could take for something else are refused, by name", () => {
  const wrong: Partial<QemuLaunchInput>[] = [
    { cpuFeatures: "pmu=off,,host" },
    { cpuFeatures: "x -device pci-assign" },
    { machineAccelerators: "firmware=/etc/shadow" },
    { name: "a,process=init" },
    { vcpus: 0 },
    { vcpus: 1.5 },
    { memoryMib: 16 },
    { imageSizeBytes: 4096 },
    { kernelParams: "quiet\nnext" },
    { qemuPath: "qemu-system-x86_64" },
  ];
  for (const change of wrong) {
    const [name = ""] = Object.keys(change);
    assert.throws(
      () => planQemuLaunch({ ...INPUT, ...change }),
      (error: unknown) =>
        error instanceof MukonError &&
        error.code === "VMM_PLAN_INVALID" &&
        error.message.includes(name),
      JSON.stringify(change),
    );
  }
});

test("no text of the user's makes a new word or option out of its place", () => {
  const words = planQemuLaunch(INPUT).argv.length;
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (cpuFeatures, name, kernelParams) => {
      try {
        const { argv } = planQemuLaunch({ ...INPUT, cpuFeatures, name, kernelParams });
        assert.equal(argv.length, words);
        assert.equal(optionValue(argv, "-name").split(",").length, 2);
      } catch (error) {
        assert.ok(error instanceof MukonError && error.code === "VMM_PLAN_INVALID");
      }
    }),
  );
});

test("every place for a disk is another one, and there are sixty and more", () => {
  const slots = new DiskSlots();
  const taken = new Set<string>();
  assert.throws(() => {
    for (;;) taken.add(slots.take().pciPath);
  }, /places for disks/);
  assert.equal(taken.size, 62);
  assert.ok([...taken].every((path) => /^[0-9a-f]{2}\/[0-9a-f]{2}$/.test(path)));
});
