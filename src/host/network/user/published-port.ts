// SPDX-License-Identifier: Apache-2.0
import { isIP } from "node:net";
import * as v from "valibot";

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const address = v.pipe(
  v.string(),
  v.check((text) => isIP(text) === 4, "is no IPv4 address"),
);
/** More are no ports of one container. */
const MAX_PORTS = 64;

/** A port of the host's that leads to one of the guest's. */
export const publishedPort = v.strictObject({
  hostAddress: address,
  hostPort: port,
  guestPort: port,
  protocol: v.picklist(["tcp", "udp"]),
});

/** What a client asks for; see `mukon run --network user`. */
export const userNetworkWish = v.strictObject({
  ports: v.pipe(v.array(publishedPort), v.maxLength(MAX_PORTS)),
});

export type PublishedPort = v.InferOutput<typeof publishedPort>;
export type UserNetworkWish = v.InferOutput<typeof userNetworkWish>;
