// The known name that somebody most likely meant.

/** Edits that make one text of the other (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(
        (row[j] as number) + 1,
        (next[j - 1] as number) + 1,
        (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    row = next;
  }
  return row[b.length] as number;
}

/** The nearest of some names. Case and separators do not count: maxTokens is max_tokens. */
export function nearest(name: string, names: readonly string[]): string {
  const bare = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const given = bare(name.slice(0, 100));
  return names.reduce((best, one) => (distance(given, bare(one)) < distance(given, bare(best)) ? one : best));
}
