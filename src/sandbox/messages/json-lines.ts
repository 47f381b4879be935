// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { JsonLineDecoder } from "../../vmm/json-lines.ts";

/** Reads what the other side of shim and keeper sends; errors are `KEEPER_PROTOCOL`. */
export function messageDecoder(maxLineBytes: number): JsonLineDecoder {
  return new JsonLineDecoder({
    maxLineBytes,
    errorCode: "KEEPER_PROTOCOL",
    subject: "A message between shim and keeper",
  });
}

/** One value as a line; `KEEPER_PROTOCOL` when it is longer than the other side accepts. */
export function encodeMessage(value: unknown, maxLineBytes: number): Buffer {
  const line = Buffer.from(`${JSON.stringify(value)}\n`);
  if (line.length - 1 > maxLineBytes) {
    throw new MukonError(
      "KEEPER_PROTOCOL",
      `A message of ${line.length} bytes is over the ${maxLineBytes} that shim and keeper accept.`,
    );
  }
  return line;
}
