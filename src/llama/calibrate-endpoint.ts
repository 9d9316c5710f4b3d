// The calibration of members on a server, which reads a text with each of them: the same map as calibrate.ts measures in our own engine, so that one
// weight temperature means one surprise on all of them. A server tells the likeliest few tokens of each place only. Which is likeliest is exact by
// them; softmax at T < 1 needs hardly more:
//
//   p_T(likeliest) = 1 / (sum over these of (p_i / p_1)^(1/T) + rest),   0 <= rest <= ((1 - sum of p_i) / p_1) (p_K / p_1)^(1/T - 1)
//
// with p_K the least likely of them; rest is taken as large as it may be, which at T = 1 is what it is.

import { createHash } from "node:crypto";
import { type ReadMembersOptions, readMembers } from "../adapters/index.js";
import type { ReadToken } from "../adapters/servers/index.js";
import { BrownianError, checkInteger, checkNumber, checkText } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import { breakingPoint, type Profile } from "../statistics/calibration.js";
import { noisePoints, type Reading, TEMPERATURES } from "./calibrate.js";

/** How {@link calibrateEndpoint} measures: on which server, and how much of the text. */
export interface CalibrateEndpointOptions extends ReadMembersOptions {
  /** Tokens of the text to read, as near as pieces of it go; default 1024. */
  readonly maxTokens?: number | undefined;
  /** Nats a token that moving weights may cost on the text; default 0.25. */
  readonly breakingNats?: number | undefined;
  /** Called with readings done and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

const NAMES: Names<CalibrateEndpointOptions> = {
  endpoint: true,
  adapters: true,
  membersPath: true,
  protocol: true,
  members: true,
  sigmas: true,
  concurrency: true,
  deadline: true,
  apiKey: true,
  signal: true,
  maxTokens: true,
  breakingNats: true,
  onProgress: true,
};

/** Characters of a piece of the text: some 200 tokens. */
const PIECE = 800;
/** Servers tell the likeliest few: above, the others would count. */
const HOTTEST = 1;
const COLDEST_TEMPERATURES = TEMPERATURES.filter((temperature) => temperature <= HOTTEST);

/**
 * Measures the profile of members on a server: how often each takes another token than the clean model's likeliest, and softmax at which temperature
 * does so as often. Temperatures up to 1. NLL counts a token that is not among the likeliest as if it were the last of these where a server says no
 * more (llama-server), KL is over the likeliest ones.
 *
 * @throws BrownianError usage (a server without logprobs of given texts, one sigma only, members of another scale than rms), endpoint-failed
 * @example
 * const profile = await calibrateEndpoint(text, { endpoint: "http://localhost:8000", adapters: "members" });
 * weightSigma(profile, 0.3); // the sigma that is as surprising there as softmax at T = 0.3
 */
export async function calibrateEndpoint(text: string, options: CalibrateEndpointOptions): Promise<Profile> {
  checkText("text", text);
  const { maxTokens = 1024, breakingNats, onProgress, ...reading } = checkOptions("calibrateEndpoint", options, NAMES);
  const most = checkInteger("maxTokens", maxTokens, 1);
  const nats = checkNumber("breakingNats", breakingNats ?? 0.25, 0);
  if (reading.members !== undefined) checkInteger("members", reading.members, 2);
  return readMembers(reading, async (reader) => {
    const { manifest, sigmas, members } = reader;
    if (manifest.scale !== "rms")
      throw new BrownianError("usage", `A calibration is of the scale rms, these members are of ${manifest.scale}.`);
    if (members < 2)
      throw new BrownianError("usage", "An interval needs two members or more: write more with brownian adapter --members.");
    const pieces: string[] = [];
    const clean: (readonly ReadToken[])[] = [];
    let tokens = 0;
    for (const piece of piecesOf(text)) {
      if (tokens >= most) break;
      const [read] = (await reader.clean([piece])) as [readonly ReadToken[]];
      pieces.push(piece);
      clean.push(read);
      tokens += read.length;
    }
    if (tokens === 0) throw new BrownianError("usage", "The text has no token to read: give a longer one.");
    const all = clean.flat();
    const readings: Reading[][] = sigmas.map(() => []);
    let done = 0;
    for (const [level, sigma] of sigmas.entries())
      for (let member = 0; member < members; member++) {
        const moved = await reader.moved(pieces, member, sigma);
        readings[level]?.push(compared(clean, moved));
        onProgress?.(++done, sigmas.length * members);
      }
    const nll = mean(all.map((token) => -token.logProbability));
    const noise = noisePoints(sigmas, readings);
    const softmax = COLDEST_TEMPERATURES.map((temperature) => ({
      temperature,
      flipRate: 1 - mean(all.map((one) => stays(one, temperature))),
    }));
    const { file, bytes, sha256 } = manifest.model;
    const common = { scale: "rms", rounding: "matched", dose: "tensor", dynamics: "quenched", carrier: "adapter" } as const;
    return {
      format: "brownian-calibration",
      version: 3,
      model: { file, bytes, sha256 },
      text: { sha256: createHash("sha256").update(text).digest("hex"), tokens },
      settings: { ...common, rank: manifest.rank, seed: manifest.seed, draws: members },
      nll,
      noise,
      softmax,
      breaking: breakingPoint({ nll, noise, softmax }, nats),
    };
  });
}

/** A text in pieces that end between words: what is read of it. */
export function* piecesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const cut = text.lastIndexOf(" ", at + PIECE);
    const end = at + PIECE >= text.length || cut <= at ? Math.min(text.length, at + PIECE) : cut;
    const piece = text.slice(at, end);
    if (piece.trim() !== "") yield piece;
    at = end;
  }
}

/** @throws BrownianError endpoint-failed where a server makes other tokens of a text with a member than without */
function compared(clean: readonly (readonly ReadToken[])[], moved: readonly (readonly ReadToken[])[]): Reading {
  const [flips, kl, nll]: [number[], number[], number[]] = [[], [], []];
  for (const [piece, tokens] of clean.entries()) {
    const own = moved[piece] as readonly ReadToken[];
    if (own.length !== tokens.length)
      throw new BrownianError(
        "endpoint-failed",
        "The server makes other tokens of a text with a member than without: is it the same model?",
      );
    for (const [i, token] of tokens.entries()) {
      const other = own[i] as ReadToken;
      flips.push(other.top[0]?.text === token.top[0]?.text ? 0 : 1);
      nll.push(-other.logProbability);
      kl.push(divergence(token, other));
    }
  }
  return { flips: mean(flips), kl: mean(kl), nll: mean(nll) };
}

/** Over the clean model's likeliest tokens; one that is not among the moved model's is as likely as the last of these. */
function divergence({ top }: ReadToken, other: ReadToken): number {
  const least = other.top.at(-1)?.logProbability as number;
  const moved = new Map(other.top.map((one) => [one.text, one.logProbability]));
  return top.reduce((sum, { text, logProbability: l }) => sum + Math.exp(l) * (l - (moved.get(text) ?? least)), 0);
}

/** p_T of the likeliest token, for T up to 1. @param top of the likeliest ones, falling */
export function stays({ top }: Pick<ReadToken, "top">, temperature: number): number {
  const [first, last] = [top[0]?.logProbability as number, top.at(-1)?.logProbability as number];
  const seen = top.reduce((sum, one) => sum + Math.exp((one.logProbability - first) / temperature), 0);
  const rest = Math.max(0, 1 - top.reduce((sum, one) => sum + Math.exp(one.logProbability), 0)) / Math.exp(first);
  return 1 / (seen + rest * Math.exp((last - first) * (1 / temperature - 1)));
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
