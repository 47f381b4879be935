// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { rootfsStorages } from "../../../src/guest-protocol/rootfs.ts";
import { fails } from "./helpers.ts";

const VOLUMES = "/run/kata-containers/virtual-volumes";
const layers = [{ source: "0a/00" }, { source: "0b/00" }];

test("layers are mounted read-only, the top one first in the overlay", () => {
  const { storages, rootPath } = rootfsStorages({ containerId: "one", layers });
  assert.equal(rootPath, "/run/kata-containers/one/rootfs");
  const [bottom, top, upper, overlay] = storages;
  assert.deepEqual(
    [bottom, top].map((layer) => [layer?.driver, layer?.source, layer?.fstype, layer?.options]),
    [
      ["blk", "0a/00", "erofs", ["ro"]],
      ["blk", "0b/00", "erofs", ["ro"]],
    ],
  );
  assert.equal(upper?.fstype, "tmpfs");
  assert.equal(overlay?.mountPoint, rootPath);
  assert.equal(overlay?.options[0], `lowerdir=${top?.mountPoint}:${bottom?.mountPoint}`);
  assert.equal(bottom?.mountPoint, `${VOLUMES}/MGEvMDA`);
});

test("a scratch disk takes the writes; its directories are made by the agent", () => {
  const { storages } = rootfsStorages({ containerId: "one", layers, scratch: { source: "0c/00" } });
  const [, , upper, overlay] = storages;
  assert.deepEqual([upper?.driver, upper?.source, upper?.fstype], ["blk", "0c/00", "ext4"]);
  assert.deepEqual(upper?.options, []);
  assert.deepEqual(overlay?.options.slice(1), [
    `upperdir=${upper?.mountPoint}/upper`,
    `workdir=${upper?.mountPoint}/work`,
  ]);
  assert.deepEqual(
    overlay?.driverOptions.map((option) => option.split("=")[1]),
    [`${upper?.mountPoint}/upper`, `${upper?.mountPoint}/work`],
  );
});

test("two containers share no place to write", () => {
  const upperOf = (containerId: string) =>
    rootfsStorages({ containerId, layers }).storages.at(-2)?.mountPoint;
  assert.notEqual(upperOf("one"), upperOf("two"));
});

test("nothing can slip options or other paths into the guest's mounts", () => {
  const invalid = fails("ROOTFS_LAYERS_INVALID");
  for (const source of ["", "/dev/vda", "0a/00:/etc", "0a,upperdir=/", "../0a"]) {
    assert.throws(() => rootfsStorages({ containerId: "one", layers: [{ source }] }), invalid);
  }
  assert.throws(() => rootfsStorages({ containerId: "one", layers: [] }), invalid);
  const many = Array.from({ length: 33 }, (_, index) => ({ source: (index + 16).toString(16) }));
  assert.throws(() => rootfsStorages({ containerId: "one", layers: many }), invalid);
  const twice = [...layers, ...layers];
  assert.throws(() => rootfsStorages({ containerId: "one", layers: twice }), invalid);
  for (const containerId of ["", "..", "a/b", "a b", "x".repeat(129), ".hidden", "a,b", "a:b"]) {
    assert.throws(() => rootfsStorages({ containerId, layers }), fails("CONTAINER_ID_INVALID"));
  }
});
