// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../src/errors/mukon-error.ts";
import { run } from "../../src/linux/run.ts";

/** Where the machine takes its Debian packages from. */
export interface DebianArchive {
  mainUri: string;
  /** Absent when the machine's configuration names no security archive. */
  securityUri: string | undefined;
}

const FIELDS = ["$(REPO_URI)", "$(LABEL)"];
const SEPARATOR = "\t";
const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * Asks apt for the addresses in its own configuration, so that mirrors are honoured whatever
 * release the machine runs and however its sources are written.
 * @throws MukonError GUEST_ARCHIVE_UNKNOWN
 */
export async function findArchive(): Promise<DebianArchive> {
  const format = FIELDS.join(SEPARATOR);
  const argv = ["apt-get", "indextargets", "--format", format, "Created-By: Packages"];
  const { stdout } = await run(argv, { maxOutputBytes: MAX_OUTPUT_BYTES });
  if (stdout.trim() !== "") return chooseArchive(stdout);
  // Without an index, as in a fresh container, apt still knows where it would read one from.
  const update = ["apt-get", "update", "--print-uris"];
  return chooseArchive(sourcesOf((await run(update, { maxOutputBytes: MAX_OUTPUT_BYTES })).stdout));
}

/** Rows for {@link chooseArchive} out of lines like `'http://…/debian/dists/trixie/InRelease' …`. */
export function sourcesOf(text: string): string {
  return [...text.matchAll(/^'(\S+?)\/dists\/\S+'/gm)].map((match) => match[1]).join("\n");
}

/** Picks the two archives out of apt's answer: lines of address and label. */
export function chooseArchive(text: string): DebianArchive {
  const rows = text
    .split("\n")
    .map((line) => line.split(SEPARATOR))
    .map(([uri = "", label = ""]) => ({ uri: uri.replace(/\/$/, ""), label }))
    .filter(({ uri }) => /^(https?|file|copy|ftp|mirror\S*):\S+$/.test(uri));
  const find = (label: string, ending: string): string | undefined =>
    // The label is known only after an `apt-get update`; the address must do before.
    (rows.find((row) => row.label === label) ?? rows.find(({ uri }) => uri.endsWith(ending)))?.uri;
  const mainUri = find("Debian", "/debian");
  if (mainUri === undefined) {
    throw new MukonError(
      "GUEST_ARCHIVE_UNKNOWN",
      "The guest image is built from Debian packages, and apt is configured for no Debian archive.",
      { hint: "Add a Debian source to /etc/apt/sources.list.d and run `apt-get update`." },
    );
  }
  return { mainUri, securityUri: find("Debian-Security", "/debian-security") };
}
