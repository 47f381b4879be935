// SPDX-License-Identifier: Apache-2.0
// Wire numbers of proto/agent/forwarding.proto.
import { bool, bytes, uint32 } from "../protobuf/field.ts";

export const OpenRequest = { port: uint32(1) };
export const Connection = { id: uint32(1) };
export const ReadRequest = { id: uint32(1), maxBytes: uint32(2) };
export const ReadResponse = { data: bytes(1) };
export const WriteRequest = { id: uint32(1), data: bytes(2), isLast: bool(3) };
