// SPDX-License-Identifier: Apache-2.0
import { loadavg, uptime } from "node:os";
import { join } from "node:path";
import { readField, readKeys } from "../cgroup/control.ts";
import { CGROUP_ROOT } from "../cgroup/layout.ts";

/** Columns of /proc/stat (proc_stat(5)). */
const TIMES = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/** Prometheus' text format: a few gauges about the guest as a whole. */
export function metricsText(): string {
  const memory = process.memoryUsage();
  return [
    gauge("kata_agent_process_resident_memory_bytes", "Memory of the agent.", memory.rss),
    gauge("kata_guest_uptime_seconds", "Seconds since the guest's kernel started.", uptime()),
    gauge("kata_guest_load1", "Load average over one minute.", loadavg()[0] ?? 0),
    ...memoryGauges(readField("/proc/meminfo")),
    ...processorTimes(readField("/proc/stat")),
    ...containerGauges(),
  ].join("");
}

function gauge(name: string, help: string, value: number | bigint): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;
}

export function memoryGauges(meminfo: string): string[] {
  return ["MemTotal", "MemFree", "MemAvailable"].map((key) => {
    const kilobytes = Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(meminfo)?.[1] ?? 0);
    return gauge(
      `kata_guest_meminfo_${key.toLowerCase()}_bytes`,
      `${key} of the guest.`,
      kilobytes * 1024,
    );
  });
}

/** Of the processors that are in use, in the kernel's ticks. */
export function processorTimes(stat: string): string[] {
  const name = "kata_guest_cpu_time";
  const lines = stat.split("\n").flatMap((line) => {
    const [, cpu, rest = ""] = /^cpu(\d+) (.*)$/.exec(line) ?? [];
    if (cpu === undefined) return [];
    const times = rest.trim().split(/\s+/);
    return TIMES.map(
      (item, index) => `${name}{cpu="${cpu}",item="${item}"} ${times[index] ?? 0}\n`,
    );
  });
  return [`# HELP ${name} Time of each processor.\n# TYPE ${name} gauge\n`, ...lines];
}

function containerGauges(): string[] {
  const cgroup = join(CGROUP_ROOT, "containers");
  const cpu = readKeys(join(cgroup, "cpu.stat")).get("usage_usec") ?? 0n;
  const memory = Number(readField(join(cgroup, "memory.current"))) || 0;
  return [
    gauge("kata_guest_containers_memory_bytes", "Memory of all containers.", memory),
    gauge("kata_guest_containers_cpu_microseconds", "Processor time of all containers.", cpu),
  ];
}
