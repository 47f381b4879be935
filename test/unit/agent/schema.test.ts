// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import { decode } from "../../../guest/agent/protobuf/decode.ts";
import { encode, toBuffer } from "../../../guest/agent/protobuf/encode.ts";
import type { Field, Schema } from "../../../guest/agent/protobuf/field.ts";
import * as agent from "../../../guest/agent/schema/agent.ts";
import { Spec } from "../../../guest/agent/schema/oci.ts";
import { StatsContainerResponse } from "../../../guest/agent/schema/stats.ts";
import { Interface } from "../../../guest/agent/schema/types.ts";
import * as generated from "../../../src/generated/agent/agent_pb.ts";
import * as health from "../../../src/generated/agent/health_pb.ts";
import { SpecSchema } from "../../../src/generated/agent/oci_pb.ts";
import { InterfaceSchema } from "../../../src/generated/agent/types_pb.ts";

const KINDS: Readonly<Record<string, ScalarType>> = {
  string: ScalarType.STRING,
  bytes: ScalarType.BYTES,
  bool: ScalarType.BOOL,
  int32: ScalarType.INT32,
  uint32: ScalarType.UINT32,
  int64: ScalarType.INT64,
  uint64: ScalarType.UINT64,
};

/** Each field of a table must be in the .proto, with its number and type, at any depth. */
function assertSame(schema: Schema, descriptor: DescMessage): void {
  for (const [name, field] of Object.entries(schema)) {
    const wanted = descriptor.fields.find((entry) => entry.number === field.number);
    const where = `${descriptor.typeName}.${name}`;
    assert.ok(wanted !== undefined, `${where}: the .proto has no field ${field.number}`);
    assert.equal(bare(wanted.name), bare(name), `${where} and its number`);
    assertSameType(field, wanted, where);
  }
}

function assertSameType(field: Field<unknown>, wanted: DescField, where: string): void {
  assert.equal(field.isRepeated, wanted.fieldKind === "list", `${where}: repeated`);
  if (wanted.fieldKind === "map") {
    assert.equal(field.kind, "map", where);
    if (wanted.mapKind === "message") assertSame(field.mapValue?.schema ?? {}, wanted.message);
    else assert.equal(KINDS[field.mapValue?.kind ?? ""], wanted.scalar, where);
  } else if (wanted.message !== undefined) {
    assert.equal(field.kind, "message", where);
    assertSame(field.schema ?? {}, wanted.message);
  } else if (wanted.enum !== undefined) assert.equal(field.kind, "int32", where);
  else assert.equal(KINDS[field.kind], wanted.scalar, where);
}

function bare(name: string): string {
  return name.toLowerCase().replaceAll("_", "");
}

const PAIRS: readonly [Schema, DescMessage][] = [
  [agent.CreateContainerRequest, generated.CreateContainerRequestSchema],
  [agent.RemoveContainerRequest, generated.RemoveContainerRequestSchema],
  [agent.ContainerRequest, generated.StartContainerRequestSchema],
  [agent.ProcessRequest, generated.WaitProcessRequestSchema],
  [agent.SignalProcessRequest, generated.SignalProcessRequestSchema],
  [agent.WaitProcessResponse, generated.WaitProcessResponseSchema],
  [agent.ExecProcessRequest, generated.ExecProcessRequestSchema],
  [agent.UpdateContainerRequest, generated.UpdateContainerRequestSchema],
  [agent.WriteStreamRequest, generated.WriteStreamRequestSchema],
  [agent.WriteStreamResponse, generated.WriteStreamResponseSchema],
  [agent.ReadStreamRequest, generated.ReadStreamRequestSchema],
  [agent.ReadStreamResponse, generated.ReadStreamResponseSchema],
  [agent.TtyWinResizeRequest, generated.TtyWinResizeRequestSchema],
  [agent.CreateSandboxRequest, generated.CreateSandboxRequestSchema],
  [agent.UpdateEphemeralMountsRequest, generated.UpdateEphemeralMountsRequestSchema],
  [agent.UpdateInterfaceRequest, generated.UpdateInterfaceRequestSchema],
  [agent.UpdateRoutesRequest, generated.UpdateRoutesRequestSchema],
  [agent.Interfaces, generated.InterfacesSchema],
  [agent.OnlineCpuMemRequest, generated.OnlineCPUMemRequestSchema],
  [agent.ReseedRandomDevRequest, generated.ReseedRandomDevRequestSchema],
  [agent.GuestDetailsRequest, generated.GuestDetailsRequestSchema],
  [agent.GuestDetailsResponse, generated.GuestDetailsResponseSchema],
  [agent.MemHotplugByProbeRequest, generated.MemHotplugByProbeRequestSchema],
  [agent.SetGuestDateTimeRequest, generated.SetGuestDateTimeRequestSchema],
  [agent.CopyFileRequest, generated.CopyFileRequestSchema],
  [agent.OomEvent, generated.OOMEventSchema],
  [agent.Metrics, generated.MetricsSchema],
  [agent.VolumeStatsRequest, generated.VolumeStatsRequestSchema],
  [agent.HealthCheckResponse, health.HealthCheckResponseSchema],
  [agent.VersionCheckResponse, health.VersionCheckResponseSchema],
  [StatsContainerResponse, generated.StatsContainerResponseSchema],
  [Interface, InterfaceSchema],
  [Spec, SpecSchema],
];

test("every table has the numbers and types of the .proto files", () => {
  for (const [schema, descriptor] of PAIRS) assertSame(schema, descriptor);
});

test("what a generated client sends is decoded, 64-bit limits and all", () => {
  const sent = create(generated.CreateContainerRequestSchema, {
    containerId: "c1",
    sandboxPidns: true,
    storages: [{ driver: "blk", options: ["ro", "nosuid"] }],
    OCI: {
      Process: {
        Args: ["sh"],
        User: { UID: 7, AdditionalGids: [1, 4_294_967_295] },
        Rlimits: [{ Type: "RLIMIT_NOFILE", Hard: 2n ** 64n - 1n, Soft: 1024n }],
        OOMScoreAdj: -999n,
      },
      Annotations: { a: "1", __proto__x: "2" },
      Linux: { Sysctl: { "net.core.somaxconn": "5" }, Resources: { Memory: { Limit: -1n } } },
    },
  });
  const bytes = Buffer.from(toBinary(generated.CreateContainerRequestSchema, sent));
  const request = decode(agent.CreateContainerRequest, bytes);
  assert.equal(request.containerId, "c1");
  assert.equal(request.sandboxPidns, true);
  assert.deepEqual(request.storages[0]?.options, ["ro", "nosuid"]);
  const process = request.oci?.process;
  assert.deepEqual(process?.user?.additionalGids, [1, 4_294_967_295]);
  assert.equal(process?.rlimits[0]?.hard, 2n ** 64n - 1n);
  assert.equal(process?.oomScoreAdj, -999n);
  assert.equal(request.oci?.annotations.get("__proto__x"), "2");
  assert.equal(request.oci?.linux?.resources?.memory?.limit, -1n);
  assert.equal(request.oci?.linux?.sysctl.get("net.core.somaxconn"), "5");
});

test("what is encoded reads back the same", () => {
  const value = {
    memBlockSizeBytes: 2n ** 63n,
    agentDetails: { version: "1", storageHandlers: ["blk", ""], supportsSeccomp: true },
  };
  const back = decode(
    agent.GuestDetailsResponse,
    toBuffer(encode(agent.GuestDetailsResponse, value)),
  );
  assert.equal(back.memBlockSizeBytes, 2n ** 63n);
  assert.deepEqual(back.agentDetails?.storageHandlers, ["blk", ""]);
  const negative = toBuffer(encode(agent.WaitProcessResponse, { status: -1 }));
  assert.equal(decode(agent.WaitProcessResponse, negative).status, -1);
});

test("malformed messages are refused by name", () => {
  const refused = (hex: string): void => {
    const bytes = Buffer.from(hex, "hex");
    assert.throws(() => decode(agent.ProcessRequest, bytes), /malformed message/);
  };
  refused("0a05"); // a string that reaches beyond the message
  refused("0aff"); // half a length
  refused("08ffffffffffffffffffffff01"); // a varint of eleven bytes
  refused("0801"); // a number where a string belongs
  refused("0b"); // a group
});

test("a message of countless small parts is refused before it fills the memory", () => {
  const bytes = Buffer.alloc(600_000, Buffer.from("1200", "hex"));
  assert.throws(() => decode(agent.CreateSandboxRequest, bytes), /more than 200000 fields/);
});
