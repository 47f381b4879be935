// SPDX-License-Identifier: Apache-2.0
import { isIPv4, isIPv6 } from "node:net";
import * as v from "valibot";
import { DiskSource, range } from "./primitives.ts";

/** Interfaces of one pod. */
const MAX_INTERFACES = 16;
const MAX_ROUTES = 256;
const MAX_NEIGHBOURS = 256;

const InterfaceName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}$/));
const HardwareAddress = v.pipe(v.string(), v.regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/));
const Address = v.pipe(
  v.string(),
  v.check((text) => isIPv4(text) || (isIPv6(text) && !text.includes("%")), "is no IP address"),
);
const Destination = v.pipe(v.string(), v.maxLength(50), v.regex(/^[0-9a-fA-F:.]*(?:\/\d{1,3})?$/));

/** A network card: becomes part of a QEMU id. */
export const CardIdentifier = v.pipe(v.string(), v.regex(/^[a-z0-9]{1,8}$/));

/** What of the card is the interface's. */
export const Card = v.strictObject({
  cardId: CardIdentifier,
  mac: HardwareAddress,
  mtu: range(68, 65_535),
  /** What its descriptor is: a tap device (the default), or a stream of frames, each with its length. */
  backend: v.optional(v.picklist(["tap", "stream"])),
});

/** The network as the guest is to have it. */
export const Network = v.strictObject({
  interfaces: v.pipe(
    v.array(
      v.strictObject({
        name: InterfaceName,
        mac: HardwareAddress,
        mtu: range(68, 65_535),
        /** Where the card is plugged in. */
        source: DiskSource,
        addresses: v.pipe(
          v.array(v.strictObject({ address: Address, prefix: range(0, 128) })),
          v.maxLength(64),
        ),
      }),
    ),
    v.maxLength(MAX_INTERFACES),
  ),
  routes: v.pipe(
    v.array(
      v.strictObject({
        family: v.picklist([4, 6]),
        /** "": the default route. */
        destination: Destination,
        gateway: v.optional(Address),
        device: InterfaceName,
        source: v.optional(Address),
        scope: range(0, 255),
        mtu: range(0, 65_535),
        /** The gateway is a neighbour, whatever the addresses say. */
        onLink: v.boolean(),
      }),
    ),
    v.maxLength(MAX_ROUTES),
  ),
  neighbours: v.pipe(
    v.array(v.strictObject({ address: Address, device: InterfaceName, mac: HardwareAddress })),
    v.maxLength(MAX_NEIGHBOURS),
  ),
});
export type Network = v.InferOutput<typeof Network>;
