// SPDX-License-Identifier: Apache-2.0

const HEADER_BYTES = 44;
const LENGTH_AT = 4;
const CHECKSUM_AT = 9;
const LOCAL_APIC_ADDRESS = 0xfee0_0000;
const IO_APIC_ADDRESS = 0xfec0_0000;
/** The machine has the two old interrupt controllers, too. */
const PC_AT_COMPATIBLE = 1;
const ENABLED = 1;
/** Active high, triggered by level. */
const LEVEL = 0x0d;
/** Lines of the old controllers that arrive elsewhere, or otherwise, than by default: q35's. */
const OVERRIDES: readonly (readonly [line: number, interrupt: number, flags: number])[] = [
  [0, 2, 0],
  [5, 5, LEVEL],
  [9, 9, LEVEL],
  [10, 10, LEVEL],
  [11, 11, LEVEL],
];
const ALL_PROCESSORS = 0xff;

/**
 * The table of a q35 machine's processors and interrupt controllers (ACPI 6.5, 5.2.12, "MADT") in which
 * all that can ever be plugged in are said to be there. Linux (from 6.9 on) counts no processor as one
 * that may come, unless it knows the hypervisor, and it knows none that emulates
 * (`acpi_is_processor_usable`, `topo_register_apic`); QEMU's own table says of them that they are
 * missing. A guest that starts one that is missing waits ten seconds for it in vain.
 * @param count of processors, at most 240: their numbers have 8 bits here
 */
export function processorTable(count: number): Buffer {
  const table = Buffer.concat([
    header(),
    ...Array.from({ length: count }, (_, id) => localApic(id)),
    ioApic(),
    ...OVERRIDES.map(interruptOverride),
    nonMaskable(),
  ]);
  table.writeUInt32LE(table.length, LENGTH_AT);
  const sum = table.reduce((total, byte) => total + byte, 0);
  table[CHECKSUM_AT] = -sum & 0xff;
  return table;
}

function header(): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  // Length and checksum are known at the end.
  bytes.write("APIC", 0);
  bytes.writeUInt8(3, 8);
  bytes.write("MUKON ", 10);
  bytes.write("MUKONVM ", 16);
  bytes.writeUInt32LE(1, 24);
  bytes.write("MUKO", 28);
  bytes.writeUInt32LE(1, 32);
  bytes.writeUInt32LE(LOCAL_APIC_ADDRESS, 36);
  bytes.writeUInt32LE(PC_AT_COMPATIBLE, 40);
  return bytes;
}

function localApic(id: number): Buffer {
  return Buffer.from([0, 8, id, id, ENABLED, 0, 0, 0]);
}

function ioApic(): Buffer {
  const bytes = Buffer.from([1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  bytes.writeUInt32LE(IO_APIC_ADDRESS, 4);
  return bytes;
}

function interruptOverride([line, interrupt, flags]: (typeof OVERRIDES)[number]): Buffer {
  return Buffer.from([2, 10, 0, line, interrupt, 0, 0, 0, flags, 0]);
}

/** The second line of every processor is that of interrupts that cannot be masked. */
function nonMaskable(): Buffer {
  return Buffer.from([4, 6, ALL_PROCESSORS, 0, 0, 1]);
}
