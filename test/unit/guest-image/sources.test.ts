// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { sourcesText } from "../../../guest/image/apt.ts";
import { chooseArchive, sourcesOf } from "../../../guest/image/archive.ts";
import { parseLibraries } from "../../../guest/image/libraries.ts";
import { describeNode, findScripts } from "../../../guest/image/node-program.ts";
import { parseStanzas } from "../../../guest/image/packages.ts";

test("the archive is the machine's own mirror, told by its label", () => {
  const text =
    "https://example.org/other/\tOther\n" +
    "http://mirror.example.org/deb/\tDebian\n" +
    "http://mirror.example.org/sec/\tDebian-Security\n";
  assert.deepEqual(chooseArchive(text), {
    mainUri: "http://mirror.example.org/deb",
    securityUri: "http://mirror.example.org/sec",
  });
});

test("before the first update, the address alone tells the archive", () => {
  const archive = chooseArchive("http://deb.example.org/debian/\t$(LABEL)\n");
  assert.deepEqual(archive, { mainUri: "http://deb.example.org/debian", securityUri: undefined });
});

test("a machine that never read an index still tells its archive", () => {
  const text =
    "'http://deb.example.org/debian/dists/trixie/InRelease' deb.example.org_InRelease 0 \n" +
    "'http://deb.example.org/debian-security/dists/trixie-security/InRelease' x 0 \n";
  assert.deepEqual(chooseArchive(sourcesOf(text)), {
    mainUri: "http://deb.example.org/debian",
    securityUri: "http://deb.example.org/debian-security",
  });
});

for (const text of ["", "https://example.org/ubuntu/\tUbuntu\n", "javascript:alert\tDebian\n"]) {
  test(`without a Debian archive the build says so (${JSON.stringify(text)})`, () => {
    assert.throws(() => chooseArchive(text), {
      code: "GUEST_ARCHIVE_UNKNOWN",
      hint: /Debian source/,
    });
  });
}

test("packages are taken only when Debian's keys signed the index", () => {
  const lines = sourcesText({ mainUri: "http://a/debian", securityUri: "http://a/sec" }).split(
    "\n",
  );
  assert.equal(lines.length, 3);
  for (const line of lines.slice(0, 2)) {
    assert.match(line, /signed-by=\/usr\/share\/keyrings\/debian-archive-keyring\.gpg\]/);
    assert.doesNotMatch(line, /trusted|allow-insecure/);
  }
});

test("stanzas of the index give name, version and hash; those without a hash do not count", () => {
  const hash = "A".repeat(64);
  const text = `Package: crun\nVersion: 1.21-1\nSHA256: ${hash}\n\nPackage: x\nVersion: 1\n`;
  assert.deepEqual(parseStanzas(text), [
    { name: "crun", version: "1.21-1", sha256: hash.toLowerCase() },
  ]);
});

test("the loader's answer gives each library's file; the kernel's own page is none", () => {
  const text =
    "\tlinux-vdso.so.1 (0x00007fff)\n" +
    "\tlibc.so.6 => /t/usr/lib/libc.so.6 (0x00007f)\n" +
    "\t/lib64/ld-linux-x86-64.so.2 => /t/ld.so (0x00007f)\n";
  const libraries = parseLibraries(text);
  assert.deepEqual([...libraries.keys()], ["libc.so.6", "ld-linux-x86-64.so.2"]);
});

test("the scripts that Debian's Node keeps outside are found, and no other path", () => {
  const good = "/usr/share/nodejs/cjs-module-lexer/dist/lexer.js";
  const defines = [
    `NODE_SHARED_BUILTIN_CJS_MODULE_LEXER_DIST_LEXER_PATH=${good}`,
    "NODE_SHARED_BUILTIN_X_PATH=/usr/share/../../etc/shadow.js",
    "NODE_SHARED_BUILTIN_Y_PATH=/etc/passwd",
    "NODE_OPENSSL_CERT_STORE",
  ];
  assert.deepEqual(findScripts(defines), [good]);
});

test("the Node that runs this is described with its version", async () => {
  const node = await describeNode(process.execPath);
  assert.equal(node.version, process.version);
  assert.match(node.sha256, /^[0-9a-f]{64}$/);
});
