// SPDX-License-Identifier: Apache-2.0

/**
 * Whether an absolute path matches a pattern like those of the shell: `*` and `?` stand for
 * characters of one part of the path, everything else for itself. Takes linear time per part for
 * each `*`, whatever the path.
 */
export function matchesGlob(path: string, pattern: string): boolean {
  const parts = path.split("/");
  const patterns = pattern.split("/");
  if (parts.length !== patterns.length) return false;
  if (parts.some((part) => part === "." || part === "..")) return false;
  return parts.every((part, index) => matchesPart(part, patterns[index] ?? ""));
}

/** Greedy, and goes back to the last `*` alone: never exponential. */
function matchesPart(part: string, pattern: string): boolean {
  let position = 0;
  let patternPosition = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (position < part.length) {
    const wanted = pattern[patternPosition];
    if (wanted === "*") {
      starAt = patternPosition++;
      resumeAt = position;
    } else if (wanted === "?" || wanted === part[position]) {
      position++;
      patternPosition++;
    } else if (starAt >= 0) {
      patternPosition = starAt + 1;
      position = ++resumeAt;
    } else return false;
  }
  while (pattern[patternPosition] === "*") patternPosition++;
  return patternPosition === pattern.length;
}
