// SPDX-License-Identifier: Apache-2.0

const MAX_COMPARED_LENGTH = 64;

/** Levenshtein's distance of two words: insertions, deletions and replacements. */
export function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const current = [i];
    for (let j = 1; j <= right.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      current[j] = Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}

/** The known word nearest to `word`, when it is near enough to be what was meant. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_COMPARED_LENGTH) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/**
 * The known dotted key nearest to `key`: the same name in another table counts as near, so that
 * `runtime.rootless` leads to `hypervisor.qemu.rootless`.
 */
export function nearestKey(key: string, known: readonly string[]): string | undefined {
  const name = lastPart(key);
  const table = key.slice(0, key.length - name.length);
  const sameTable = known.filter((candidate) => candidate === table + lastPart(candidate));
  const inTable = nearestWord(name, sameTable.map(lastPart));
  if (inTable !== undefined) return table + inTable;
  const anywhere = nearestWord(name, known.map(lastPart));
  return known.find((candidate) => lastPart(candidate) === anywhere);
}

function lastPart(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}
