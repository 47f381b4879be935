// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { SpecSchema } from "../../src/generated/agent/oci_pb.ts";
import { toAgentSpec } from "../../src/guest-protocol/agent-spec.ts";
import { parseJsonExactly } from "../../src/guest-protocol/oci/json.ts";
import { parseOciSpec } from "../../src/guest-protocol/oci-spec.ts";
import { rootfsStorages } from "../../src/guest-protocol/rootfs.ts";

const CODES = [
  "OCI_SPEC_INVALID",
  "OCI_SPEC_TOO_LARGE",
  "ROOTFS_LAYERS_INVALID",
  "CONTAINER_ID_INVALID",
];

function onlyOurErrors<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    assert.ok(error instanceof MukonError && CODES.includes(error.code), String(error));
    return undefined;
  }
}

const number = fc.oneof(fc.integer(), fc.double(), fc.bigInt().map(String), fc.string());
const text = fc.oneof(fc.string(), fc.constantFrom("/", "/dev/sda", "bind", "tmpfs", "pid", "b"));
const texts = fc.array(text, { maxLength: 3 });
const spec = fc.record(
  {
    ociVersion: fc.constantFrom("1.0.2", "1.1.0", "2"),
    process: fc.record({ args: texts, cwd: text, env: texts, user: fc.record({ uid: number }) }),
    hostname: text,
    mounts: fc.array(
      fc.record(
        { destination: text, source: text, type: text, options: texts },
        { requiredKeys: [] },
      ),
      { maxLength: 3 },
    ),
    annotations: fc.dictionary(fc.string(), text),
    linux: fc.record(
      {
        devices: fc.array(fc.record({ path: text, type: text, major: number }), { maxLength: 2 }),
        namespaces: fc.array(fc.record({ type: text, path: text }), { maxLength: 3 }),
        resources: fc.record({
          memory: fc.record({ limit: number }),
          pids: fc.record({ limit: number }),
        }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);

test("any document gives a spec that can be sent, or an error of ours", () => {
  fc.assert(
    fc.property(fc.oneof(spec, fc.jsonValue()), (value) => {
      const parsed = onlyOurErrors(() => parseOciSpec(JSON.stringify(value)));
      if (parsed === undefined) return;
      assert.deepEqual(parseOciSpec(JSON.stringify(parsed)), parsed);
      const sent = toAgentSpec(parsed, { rootPath: "/run/kata-containers/a/rootfs" });
      const { Linux, Mounts } = fromBinary(SpecSchema, toBinary(SpecSchema, sent.spec));
      assert.ok(Linux?.Devices.every(({ Type }) => Type !== "b"));
      assert.ok(Linux?.Namespaces.every(({ Path }) => Path === ""));
      assert.ok(Mounts.every(({ type, options }) => type !== "bind" && !options.includes("bind")));
    }),
    { numRuns: 1000 },
  );
});

test("text that is almost JSON gives an error of ours", () => {
  const pieces = fc.constantFrom(
    ...[
      '{"ociVersion":"1.0"',
      "{",
      "}",
      "[",
      "]",
      ":",
      ",",
      '"',
      "\\",
      "-",
      "12345678901234567890",
      "1e999",
    ],
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
      onlyOurErrors(() => parseOciSpec(parts.join("")));
    }),
    { numRuns: 1000 },
  );
});

test("JSON is read as JSON.parse does, long integers apart, which stay exact", () => {
  fc.assert(
    fc.property(fc.json({ noUnicodeString: false }), (json) => {
      const isShort = !/-?[0-9]{15}/.test(json);
      if (isShort) assert.deepEqual(parseJsonExactly(json), JSON.parse(json));
    }),
  );
  fc.assert(
    fc.property(fc.bigInt(), fc.string(), (integer, name) => {
      const key = JSON.stringify(name);
      const parsed = parseJsonExactly(
        `{${key}:[${key}, ${integer} ,-${integer < 0 ? -integer : integer}]}`,
      );
      const [first, value] = Object.values(Object(parsed))[0] as unknown[];
      assert.equal(first, name);
      assert.equal(BigInt(value as string | number), integer);
    }),
  );
});

test("no id and no source of a disk gets out of its directory in the guest", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (containerId, source) => {
      const made = onlyOurErrors(() => rootfsStorages({ containerId, layers: [{ source }] }));
      for (const { mountPoint, options } of made?.storages ?? []) {
        assert.match(mountPoint, /^\/run\/kata-containers(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$/);
        for (const option of options) assert.doesNotMatch(option, /[,\s]/);
      }
    }),
    { numRuns: 500 },
  );
});
