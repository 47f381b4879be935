// SPDX-License-Identifier: Apache-2.0
import { run } from "../../../src/linux/run.ts";

/**
 * Speaks to CRI's streaming server: channels in one WebSocket (`v4.channel.k8s.io`), each message with its
 * channel's number in front. 0 is standard input, 1 output, 2 errors, 3 how it ended, 4 the terminal's size.
 * Arguments: URL, protocol, what goes in as JSON: [[channel, text], …], what ends it when it has come out.
 */
const CLIENT = `
const [url, protocol, input, until] = process.argv.slice(1);
const socket = new WebSocket(url.replace("http", "ws"), [protocol]);
socket.binaryType = "arraybuffer";
const out = {};
let isOver = false;
const finish = () => {
  if (isOver) return;
  isOver = true;
  process.stdout.write(JSON.stringify(out), () => process.exit(0));
};
socket.onopen = () => {
  for (const [channel, text] of JSON.parse(input)) {
    socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
  }
};
socket.onmessage = ({ data }) => {
  const bytes = Buffer.from(data);
  const channel = bytes[0];
  out[channel] = (out[channel] ?? "") + bytes.subarray(1).toString("latin1");
  if (until !== "" && Object.values(out).some((text) => text.includes(until))) finish();
};
socket.onclose = finish;
socket.onerror = ({ error, message }) => { console.error(String(error ?? message)); process.exit(1); };
setTimeout(() => { console.error("nothing came: " + JSON.stringify(out)); process.exit(1); }, 30000);
`;

export interface StreamOptions {
  protocol?: string;
  input?: readonly [channel: number, text: string][];
  /** It is over when this has come out; default: when the server ends it. */
  until?: string;
}

/** What each channel gave, asked from a network namespace. */
export async function stream(
  namespace: string,
  url: string,
  options: StreamOptions = {},
): Promise<Record<number, string>> {
  const { protocol = "v4.channel.k8s.io", input = [], until = "" } = options;
  const words = [url, protocol, JSON.stringify(input), until];
  const node = [process.execPath, "--experimental-websocket", "--no-warnings", "-e", CLIENT];
  const { stdout } = await run(["nsenter", `--net=${namespace}`, "--", ...node, ...words], {
    timeoutMs: 60_000,
  });
  return JSON.parse(stdout);
}
