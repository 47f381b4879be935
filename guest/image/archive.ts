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

/**
 * Asks apt for the addresses in its own configuration, so that mirrors are honoured whatever
 * release the machine runs and however its sources are written.
 * @throws MukonError GUEST_ARCHIVE_UNKNOWN
 */
export async function findArchive(): Promise<DebianArchive> {
  const format = FIELDS.join(SEPARATOR);
  const argv = ["apt-get", "indextargets", "--format", format, "Created-By: Packages"];
  const { stdout } = await run(argv, { maxOutputBytes: 1024 * 1024 });
  return chooseArchive(stdout);
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
