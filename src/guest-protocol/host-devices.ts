// SPDX-License-Identifier: Apache-2.0
import { create } from "@bufbuild/protobuf";
import { type Device, DeviceSchema } from "../generated/agent/agent_pb.ts";

/** A device of the host's that the guest has, and that its own kernel drives. */
export interface HostDevice {
  /** PCI address on the host. */
  readonly address: string;
  /** PCI path in the guest. */
  readonly source: string;
  /** Of the group's node, by the container's spec. */
  readonly destination: string;
}

/** What CreateContainerRequest needs for them, as Kata says it with `vfio_mode = "guest-kernel"`. */
export function hostDeviceParts(devices: readonly HostDevice[]): Device[] {
  return devices.map(({ address, source, destination }) =>
    create(DeviceSchema, {
      id: address,
      type: "vfio-pci-gk",
      containerPath: destination,
      options: [`${address}=${source}`],
    }),
  );
}
