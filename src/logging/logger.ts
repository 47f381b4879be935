// SPDX-License-Identifier: Apache-2.0
import { writeSync } from "node:fs";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Facts that go with a log line; plain values, no secrets. */
export type LogFields = Record<string, unknown>;

/** Takes one finished line, without its newline. */
export type LogSink = (line: string) => void;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose lines all carry `fields`. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  component: string;
  sandboxId?: string;
  /** Lowest level written; default `MUKON_LOG_LEVEL`, else `info`. */
  level?: LogLevel;
  /** `json` for machines (default), `text` for people. */
  format?: "json" | "text";
  /** Default: standard error. */
  sink?: LogSink;
}

/** Makes a logger that writes one JSON object, or one plain line, per message. */
export function createLogger(options: LoggerOptions): Logger {
  const level = options.level ?? levelFromEnvironment();
  const sink = options.sink ?? writeToStandardError;
  const base: LogFields = { component: options.component };
  if (options.sandboxId !== undefined) base.sandboxId = options.sandboxId;
  return makeLogger({ level, sink, format: options.format ?? "json", fields: base });
}

interface LoggerState {
  level: LogLevel;
  sink: LogSink;
  format: "json" | "text";
  fields: LogFields;
}

function makeLogger(state: LoggerState): Logger {
  const write = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(state.level)) return;
    const all = { ...state.fields, ...fields };
    state.sink(
      state.format === "json" ? jsonLine(level, message, all) : textLine(level, message, all),
    );
  };
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
    child: (fields) => makeLogger({ ...state, fields: { ...state.fields, ...fields } }),
  };
}

function jsonLine(level: LogLevel, message: string, fields: LogFields): string {
  return JSON.stringify({ time: new Date().toISOString(), level, message, ...plain(fields) });
}

function textLine(level: LogLevel, message: string, fields: LogFields): string {
  const { component: _component, ...rest } = plain(fields);
  const tail = Object.entries(rest).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  return `${level}: ${message}${tail.join("")}`;
}

/** Errors and big integers are not JSON by themselves. */
function plain(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => {
      if (value instanceof Error) return [key, value.message];
      return [key, typeof value === "bigint" ? value.toString() : value];
    }),
  );
}

function levelFromEnvironment(): LogLevel {
  const wanted = process.env.MUKON_LOG_LEVEL;
  return LOG_LEVELS.find((level) => level === wanted) ?? "info";
}

/** A log that nobody reads must not end the process that writes it. */
function writeToStandardError(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Standard error is closed or full: the line is lost, the work goes on.
  }
}
