// SPDX-License-Identifier: Apache-2.0
import type { Plugin } from "esbuild";

export function bundle(outputDirectory: string, plugins?: readonly Plugin[]): Promise<void>;
