// What is a stream of noise, by what it can do: more than one copy of the library may be loaded. Needs no backend, so that pages that only sample load none.

import { BrownianError, shown } from "../errors.js";
import type { Stream } from "./index.js";

/** Throws a `usage` error unless this is a stream of noise, or what has its methods (another copy's, say). */
export function checkStream(stream: Stream): void {
  const methods = ["bits", "uniform", "normal"] as const;
  if (typeof stream === "object" && stream !== null && methods.every((name) => typeof stream[name] === "function")) return;
  throw new BrownianError("usage", `stream must be a stream of noise, as Noise.stream makes it, but is ${shown(stream)}.`);
}
