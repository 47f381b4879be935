// SPDX-License-Identifier: Apache-2.0

/**
 * Runs the same work so often at once. The first failure stops the others, as does `signal`; all of them
 * have ended when this does, whatever becomes of it.
 * @throws what the first one failed with, or the reason of `signal`
 */
export async function atOnce<Result>(
  count: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const others = new AbortController();
  const either = AbortSignal.any([signal, others.signal]);
  const one = async (): Promise<Result> => {
    try {
      return await work(either);
    } catch (error) {
      others.abort(error);
      throw error;
    }
  };
  const works = Array.from({ length: count }, one);
  await Promise.allSettled(works);
  either.throwIfAborted();
  return await Promise.all(works);
}
