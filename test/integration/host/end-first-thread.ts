// SPDX-License-Identifier: Apache-2.0
// Ends its first thread only: the process is shown as a zombie, and goes on in its other threads.
import { systemCall } from "../../../src/linux/system-call.ts";

const SYS_EXIT = 60;
const SYS_EXIT_ARM = 93;
const exitThread = systemCall("long syscall(long number, long code)");

exitThread(process.arch === "x64" ? SYS_EXIT : SYS_EXIT_ARM, 0);
