// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { passtArguments } from "../../../src/host/network/user/passt.ts";
import { isKnownToHold } from "../../../src/host/network/user/wall.ts";
import { wallPrograms } from "../../../src/host/network/user/wall-programs.ts";

const WEB = { hostAddress: "127.0.0.1", hostPort: 8080, guestPort: 80, protocol: "tcp" } as const;
const NAMES = { hostAddress: "0.0.0.0", hostPort: 5353, guestPort: 53, protocol: "udp" } as const;

function valuesOf(words: readonly string[], option: string): string[] {
  return words.filter((_, index) => words[index - 1] === option);
}

test("passt forwards the ports that are published, and no others", () => {
  const none = passtArguments([]);
  assert.deepEqual(valuesOf(none, "--tcp-ports"), ["none"]);
  assert.deepEqual(valuesOf(none, "--udp-ports"), ["none"]);
  const both = passtArguments([WEB, NAMES, { ...WEB, hostPort: 8081 }]);
  assert.deepEqual(valuesOf(both, "--tcp-ports"), ["127.0.0.1/8080:80", "127.0.0.1/8081:80"]);
  assert.deepEqual(valuesOf(both, "--udp-ports"), ["0.0.0.0/5353:53"]);
});

test("nothing that passt is told leads to the host", () => {
  const words = passtArguments([]);
  for (const word of ["--no-map-gw", "--ipv4-only", "--foreground"])
    assert.ok(words.includes(word));
  assert.equal(words.includes("--dns-forward"), false);
});

test("the wall is not built where it might not hold", () => {
  for (const good of ["5.15.0", "6.1.0-18-amd64", "10.0"]) assert.equal(isKnownToHold(good), true);
  for (const bad of ["5.14.21", "4.18.0-el8", "", "x"]) assert.equal(isKnownToHold(bad), false);
});

test("the wall has each of its parts once", () => {
  const kinds = wallPrograms([WEB]).map(({ attachType }) => attachType);
  assert.deepEqual(
    [...kinds].sort((a, b) => a - b),
    [1, 2, 6, 8, 9, 10, 11, 14, 15, 22],
  );
});
