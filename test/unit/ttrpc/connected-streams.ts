// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Two ends of one real connection: what one end does to it, the other end sees. */
export async function connectedStreams(): Promise<[Socket, Socket]> {
  const directory = mkdtempSync(join(tmpdir(), "mukon-ttrpc-"));
  try {
    const path = join(directory, "s");
    const server = createServer();
    await new Promise<void>((done) => server.listen(path, done));
    const accepted = new Promise<Socket>((done) => server.once("connection", done));
    const near = connect(path);
    const far = await accepted;
    server.close();
    return [near, far];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
