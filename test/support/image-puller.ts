// SPDX-License-Identifier: Apache-2.0
// A process of its own that pulls an image, so that a test can kill it at any moment.
import { resolveImage } from "../../src/images/resolve.ts";

const [reference = ""] = process.argv.slice(2);
try {
  const image = await resolveImage(reference, { log: console.log });
  console.log(image.layers.join());
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
