// Waiting for something to be so, with a deadline that says what did not come.

const STEP_MS = 50;

/**
 * Asks `probe` until it answers with something truthy, and gives that back.
 * An error of the probe counts as "not yet"; the last one is told when time runs out.
 */
export async function until(what, probe, { within = 15_000, every = STEP_MS } = {}) {
  const end = Date.now() + within;
  let last;
  for (;;) {
    try {
      const found = await probe();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) {
      const why = last ? `: ${last.message ?? last}` : "";
      throw new Error(`waited ${within / 1000} s for ${what}${why}`);
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** A promise with its handles outside, rejected when it takes too long. */
export function deferred(what, within) {
  const out = {};
  out.promise = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited ${within / 1000} s for ${what}`)), within);
    out.resolve = (value) => (clearTimeout(timer), resolve(value));
    out.reject = (error) => (clearTimeout(timer), reject(error));
  });
  return out;
}
