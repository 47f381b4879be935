// SPDX-License-Identifier: Apache-2.0
import { stepOf } from "./steps.ts";

/** A moment in the life of a program's first thread: right before its `count`-th call of this name. */
export interface Moment {
  name: string;
  /** From 1. */
  count: number;
  /** Only calls that are about this file are counted. */
  path?: string;
}

/** A system call that changes something, as strace writes it down. */
export interface TracedCall extends Moment {
  /** Its arguments and result, for people. */
  text: string;
  /** What is written into a journal by it: see JOURNALLED_STEPS. */
  entry?: string;
  /** The how manieth entry of its journal it is, from 1. */
  entryCount?: number;
  /** It was not let through: the thread was killed before it, or got an error for it. */
  isInjected: boolean;
}

const LINE = /^([a-z_0-9]+)\((.*)$/;
/** What a call of these names changes nothing by, unless its arguments say so. */
const READS: Record<string, RegExp> = {
  openat: /O_CREAT|O_TRUNC/,
  ioctl: /TUNSETIFF|LOOP_|SIOCS/,
  write: /"\{\\"type\\":\\"/,
};

/**
 * Reads strace's output. Calls that change nothing are left out, yet counted, as strace counts them:
 * each name for itself.
 */
export function parseCalls(text: string): TracedCall[] {
  const counts = new Map<string, number>();
  const calls: TracedCall[] = [];
  let entries = 0;
  for (const line of text.split("\n")) {
    const [, name, rest] = LINE.exec(line) ?? [];
    if (name === undefined || rest === undefined) continue;
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    const isInjected = rest.includes("(INJECTED)");
    if (READS[name]?.test(rest) === false && !isInjected) continue;
    const entry = name === "write" ? journalEntry(rest) : undefined;
    if (entry !== undefined) entries += 1;
    calls.push({
      ...{ name, count, text: `${name}(${rest}`, isInjected },
      ...(entry === undefined ? {} : { entry, entryCount: entries }),
    });
  }
  return calls;
}

/** One of those by which a jail is built, which are most of all. */
export function isInJail({ text }: TracedCall): boolean {
  return text.includes('"/sys/jail');
}

/** A line of a journal, as strace shows it. */
function journalEntry(text: string): string | undefined {
  const line = /"(\{\\"type\\".*?\})\\n"/.exec(text)?.[1];
  return line === undefined ? undefined : stepOf(JSON.parse(line.replaceAll('\\"', '"')));
}
