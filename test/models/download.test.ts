// Models by their names, from a server of our own that breaks off, changes its mind and lies, and from stores of other programs.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { readModel } from "../../src/files/index.js";
import {
  cachedModels,
  type DownloadOptions,
  damaged,
  removeCached,
  removePartial,
  resolveModel,
} from "../../src/models/index.js";
import { find } from "../../src/models/places.js";
import { splitModel } from "../support/split-gguf.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const scratch = scratchFolder();
const MODEL = Buffer.concat([Buffer.from("GGUF"), Buffer.alloc(300_000, 7)]);
const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
/** What the server answers, by path; a list is worked off, its last stays. */
let answers: Record<string, Answer | Answer[]> = {};
let asked: { method: string; url: string; range: string | undefined; authorization: string | undefined }[] = [];
let server: Server;
let other: Server;
let base: string;
let elsewhere: string;
let cache: string;
let runs = 0;

function answer(request: IncomingMessage, response: ServerResponse) {
  const { method = "", url = "", headers } = request;
  asked.push({ method, url, range: headers.range, authorization: headers.authorization });
  const found = answers[`${method} ${url}`] ?? answers[url];
  const one = Array.isArray(found) ? (found.length > 1 ? (found.shift() as Answer) : found[0]) : found;
  if (one === undefined) return void response.writeHead(404).end();
  one(request, response);
}

const listening = async (made: Server) => {
  await once(made.listen(0, "127.0.0.1"), "listening");
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
};

beforeAll(async () => {
  server = createServer(answer);
  other = createServer(answer);
  base = await listening(server);
  elsewhere = await listening(other);
});

afterAll(() => {
  for (const each of [server, other]) {
    each.closeAllConnections();
    each.close();
  }
});

beforeEach(() => {
  cache = join(scratch, `cache-${runs++}`);
  mkdirSync(cache);
  answers = {};
  asked = [];
  vi.stubEnv("BROWNIAN_CACHE", cache);
  vi.stubEnv("HF_ENDPOINT", base);
  vi.stubEnv("HF_TOKEN", "");
});
afterEach(() => vi.unstubAllEnvs());

/** A file as servers of files send it: HEAD, ranges, and an ETag. */
const file =
  (
    body: Buffer,
    { etag = `"${sha256(body).slice(0, 8)}"` as string | undefined, headers = {} as Record<string, string> } = {},
  ): Answer =>
  (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const whole = from === 0 || (request.headers["if-range"] ?? etag) !== etag;
    const part = whole ? body : body.subarray(from);
    response.writeHead(whole ? 200 : 206, {
      ...(etag !== undefined && { etag }),
      "content-length": part.length,
      ...(!whole && { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` }),
      ...headers,
    });
    response.end(request.method === "HEAD" ? undefined : part);
  };

/** Sends so many bytes of what it would send, and breaks off. */
const broken =
  (body: Buffer, bytes: number, etag = `"${sha256(body).slice(0, 8)}"`): Answer =>
  (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from === 0 ? 200 : 206, {
      etag,
      "content-length": body.length - from,
      ...(from > 0 && { "content-range": `bytes ${from}-${body.length - 1}/${body.length}` }),
    });
    // Once they are kept: what has come and was not yet read is lost with the connection.
    const sizeOf = (name: string) => statSync(join(cache, name), { throwIfNoEntry: false })?.size ?? 0;
    const kept = () => parts().some((name) => sizeOf(name) >= from + bytes);
    const breakOff = () => {
      if (kept()) response.destroy();
      else if (!response.destroyed) setTimeout(breakOff, 5);
    };
    response.write(body.subarray(from, from + bytes), breakOff);
  };

const status =
  (code: number): Answer =>
  (_, response) =>
    void response.writeHead(code).end();

/** As Hugging Face does: who it is said by is not who sends it. */
const linked =
  (body: Buffer, digest = sha256(body)): Answer =>
  (_, response) =>
    void response
      .writeHead(302, { location: `${elsewhere}/blob`, "x-linked-etag": `"${digest}"`, "x-linked-size": body.length })
      .end();

const quick: DownloadOptions = { pause: 1 };
const all = () => (existsSync(cache) ? readdirSync(cache, { recursive: true, encoding: "utf8" }) : []);
const parts = () => all().filter((name) => name.endsWith(".part"));
const locks = () => all().filter((name) => name.includes(".lock"));

describe("an address", () => {
  it("is downloaded once, whole, with progress, and used from then on", async () => {
    answers["/m.gguf"] = file(MODEL);
    const heard: [number, number][] = [];
    const onProgress = (done: number, total: number) => void heard.push([done, total]);
    const path = await resolveModel(`${base}/m.gguf`, { ...quick, onProgress });
    expect(readFileSync(path).equals(MODEL)).toBe(true);
    expect(heard.at(-1)).toEqual([MODEL.length, MODEL.length]);
    const before = asked.length;
    expect(await resolveModel(`${base}/m.gguf`, quick)).toBe(path);
    expect(asked).toHaveLength(before);
    expect([...parts(), ...locks()]).toEqual([]);
  });

  it("goes on where it broke off, again and again", async () => {
    answers["HEAD /m.gguf"] = file(MODEL);
    answers["GET /m.gguf"] = [broken(MODEL, 100_000), broken(MODEL, 50_000), file(MODEL)];
    const path = await resolveModel(`${base}/m.gguf`, quick);
    expect(readFileSync(path).equals(MODEL)).toBe(true);
    const ranges = asked.filter(({ method }) => method === "GET").map(({ range }) => range);
    expect(ranges).toEqual([undefined, "bytes=100000-", "bytes=150000-"]);
  });

  it("gives up where no byte comes any more, keeps what came, and goes on from it the next time", async () => {
    answers["HEAD /m.gguf"] = file(MODEL);
    answers["GET /m.gguf"] = [broken(MODEL, 100_000), status(503)];
    await expect(resolveModel(`${base}/m.gguf`, quick)).rejects.toThrow(/503, 5 times in a row. 100000 bytes are kept/);
    expect(parts()).toHaveLength(1);
    expect(all().filter((name) => name.endsWith(".gguf"))).toEqual([]);
    expect(await cachedModels()).toMatchObject([{ partial: true, bytes: 100_000 }]);
    asked = [];
    answers["GET /m.gguf"] = file(MODEL);
    expect(readFileSync(await resolveModel(`${base}/m.gguf`, quick)).equals(MODEL)).toBe(true);
    expect(asked.at(-1)?.range).toBe("bytes=100000-");
    expect(parts()).toEqual([]);
  });

  it("begins anew where the server answers 200 to a range, or another range than was asked for", async () => {
    const unable: Answer = (request, response) => {
      request.headers.range = undefined;
      file(MODEL)(request, response);
    };
    const wrong: Answer = (_, response) =>
      void response.writeHead(206, { "content-range": `bytes 5-${MODEL.length - 1}/${MODEL.length}` }).end(MODEL.subarray(5));
    answers["HEAD /m.gguf"] = file(MODEL);
    answers["GET /m.gguf"] = [broken(MODEL, 100_000), unable];
    expect(readFileSync(await resolveModel(`${base}/m.gguf`, quick)).equals(MODEL)).toBe(true);
    answers["HEAD /n.gguf"] = file(MODEL);
    answers["GET /n.gguf"] = [broken(MODEL, 100_000), wrong, file(MODEL)];
    expect(readFileSync(await resolveModel(`${base}/n.gguf`, quick)).equals(MODEL)).toBe(true);
  });

  it("does not go on with a part of a file that has changed since", async () => {
    const later = Buffer.concat([Buffer.from("GGUF"), Buffer.alloc(300_000, 9)]);
    answers["HEAD /m.gguf"] = file(MODEL);
    answers["GET /m.gguf"] = [broken(MODEL, 100_000), status(503)];
    await expect(resolveModel(`${base}/m.gguf`, quick)).rejects.toThrow(/503/);
    answers["HEAD /m.gguf"] = file(later);
    answers["GET /m.gguf"] = file(later);
    expect(readFileSync(await resolveModel(`${base}/m.gguf`, quick)).equals(later)).toBe(true);
    expect(asked.at(-1)?.range).toBeUndefined();
    expect(parts()).toEqual([]);
  });

  it("needs neither HEAD nor a length", async () => {
    answers["HEAD /m.gguf"] = status(405);
    answers["GET /m.gguf"] = (_, response) => void response.writeHead(200).end(MODEL);
    expect(readFileSync(await resolveModel(`${base}/m.gguf`, quick)).equals(MODEL)).toBe(true);
  });

  it("of something else than a model is refused, and nothing is kept", async () => {
    answers["/m.gguf"] = file(Buffer.from("<!doctype html>"));
    await expect(resolveModel(`${base}/m.gguf`, quick)).rejects.toThrow(/no GGUF file: it begins with "<!do"/);
    expect(all().filter((name) => /gguf|part/.test(name.split("/").at(-1) as string))).toEqual([]);
  });

  it.each([
    [404, /no such thing \(404\)/],
    [401, /not for everybody \(401\)/],
    [500, /500/],
  ])("that answers %i is an error that says so", async (code, message) => {
    answers["/m.gguf"] = status(code);
    const failed = resolveModel(`${base}/m.gguf`, quick);
    await expect(failed).rejects.toMatchObject({ code: "download-failed", message: expect.stringMatching(message) });
    expect(locks()).toEqual([]);
  });

  it("that nobody answers is an error that names it", async () => {
    await expect(resolveModel("http://127.0.0.1:9/m.gguf", quick)).rejects.toThrow(/127.0.0.1:9\/m.gguf cannot be reached/);
    await expect(resolveModel("http://user:secret@127.0.0.1:9/m.gguf", quick)).rejects.toThrow(/leave it out/);
  });

  it("can be aborted, and keeps what came", async () => {
    const abort = new AbortController();
    answers["HEAD /m.gguf"] = file(MODEL);
    answers["GET /m.gguf"] = (_, response) => {
      response.writeHead(200, { "content-length": MODEL.length, etag: `"${sha256(MODEL).slice(0, 8)}"` });
      response.write(MODEL.subarray(0, 1000));
    };
    const onProgress = () => abort.abort();
    const failed = resolveModel(`${base}/m.gguf`, { ...quick, signal: abort.signal, onProgress });
    await expect(failed).rejects.toMatchObject({ code: "aborted" });
    expect(parts()).toHaveLength(1);
    expect(locks()).toEqual([]);
  });

  it("that two ask for at once is downloaded once", async () => {
    answers["/m.gguf"] = file(MODEL);
    const waited = vi.fn();
    const both = [1, 2].map(() => resolveModel(`${base}/m.gguf`, { ...quick, onWait: waited }));
    const [a, b] = await Promise.all(both);
    expect(a).toBe(b);
    expect(asked.filter(({ method }) => method === "GET")).toHaveLength(1);
    expect(waited).toHaveBeenCalledOnce();
  });

  it("takes over the lock of a process that has ended", async () => {
    answers["HEAD /m.gguf"] = file(MODEL);
    answers["GET /m.gguf"] = status(404);
    await resolveModel(`${base}/m.gguf`, quick).catch(() => undefined);
    const [folder] = readdirSync(join(cache, "models", "url", "127.0.0.1")) as [string];
    const lock = join(cache, "models", "url", "127.0.0.1", folder, "m.gguf.lock");
    const { thisProcess } = await import("../../src/files/owned.js");
    // No process has this number: it is beyond what systems give out.
    writeFileSync(lock, `${thisProcess().replace(/\.\d+\.\d+$/, ".2147483646.1")} x`);
    answers["GET /m.gguf"] = file(MODEL);
    expect(readFileSync(await resolveModel(`${base}/m.gguf`, quick)).equals(MODEL)).toBe(true);
    expect(locks()).toEqual([]);
  });
});

describe("Hugging Face", () => {
  const tree =
    (...names: string[]): Answer =>
    (_, response) =>
      void response.writeHead(200).end(JSON.stringify(names.map((path) => ({ type: "file", path }))));
  const TREE = "/api/models/org/repo/tree/main?recursive=true";

  it("is asked for a quantization, follows to where the bytes lie, checks them, and sends its key nowhere else", async () => {
    vi.stubEnv("HF_TOKEN", "hf_key");
    answers[TREE] = tree("README.md", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-IQ4_K_M.gguf", "mmproj-Q4_K_M.gguf");
    answers["/org/repo/resolve/main/m-Q4_K_M.gguf"] = linked(MODEL);
    answers["/blob"] = file(MODEL);
    const path = await resolveModel("hf:org/repo:q4_k_m", quick);
    expect(path).toBe(join(cache, "models", "hf", "org", "repo", "m-Q4_K_M.gguf"));
    expect(asked.map(({ url, authorization }) => [url, authorization])).toEqual([
      [TREE, "Bearer hf_key"],
      ["/org/repo/resolve/main/m-Q4_K_M.gguf", "Bearer hf_key"],
      ["/org/repo/resolve/main/m-Q4_K_M.gguf", "Bearer hf_key"],
      ["/blob", undefined],
    ]);
    asked = [];
    expect(await resolveModel("hf:org/repo:Q4_K_M", quick)).toBe(path);
    expect(await resolveModel("hf:org/repo/m-Q4_K_M.gguf", quick)).toBe(path);
    expect(asked).toEqual([]);
    expect(await cachedModels()).toMatchObject([{ name: "hf:org/repo/m-Q4_K_M.gguf", sha256: sha256(MODEL), partial: false }]);
  });

  it("that sends other bytes than it said is an error, and nothing is kept", async () => {
    answers["/org/repo/resolve/main/m.gguf"] = linked(MODEL, sha256("another"));
    answers["/blob"] = file(MODEL);
    await expect(resolveModel("hf:org/repo/m.gguf", quick)).rejects.toThrow(/has the SHA-256 .*, but .* was said/);
    expect(await cachedModels()).toEqual([]);
  });

  it("goes on across a redirect", async () => {
    answers["/org/repo/resolve/main/m.gguf"] = linked(MODEL);
    answers["/blob"] = [broken(MODEL, 1000), file(MODEL)];
    expect(readFileSync(await resolveModel("hf:org/repo/m.gguf", quick)).equals(MODEL)).toBe(true);
    expect(asked.at(-1)).toMatchObject({ url: "/blob", range: "bytes=1000-" });
  });

  it("says what there is where nothing fits, where several do, and what to do where it is not let in", async () => {
    answers[TREE] = tree("a-Q8_0.gguf", "b-Q8_0.gguf");
    await expect(resolveModel("hf:org/repo", quick)).rejects.toThrow(/no file for Q4_K_M, but a-Q8_0.gguf, b-Q8_0.gguf/);
    await expect(resolveModel("hf:org/repo:Q8_0", quick)).rejects.toThrow(/several files for Q8_0: name one/);
    answers[TREE] = tree("model.safetensors");
    await expect(resolveModel("hf:org/repo", quick)).rejects.toThrow(/whose name ends in GGUF/);
    answers[TREE] = status(401);
    await expect(resolveModel("hf:org/repo", quick)).rejects.toThrow(/set HF_TOKEN/);
    answers[TREE] = (_, response) => void response.end("{");
    await expect(resolveModel("hf:org/repo", quick)).rejects.toThrow(/sends no list of files/);
  });

  it("names no path outside of the cache", async () => {
    answers[TREE] = tree("../../../m-Q4_K_M.gguf");
    await expect(resolveModel("hf:org/repo", quick)).rejects.toThrow(/cannot be the name of a file or folder/);
    for (const name of [
      "hf:../repo/m.gguf",
      "hf:org/..:Q4_0",
      "hf:org/repo/../../m.gguf",
      "hf:org/repo//m.gguf",
      "hf:org",
      "hf:org/repo/m.txt",
    ])
      await expect(resolveModel(name, quick), name).rejects.toMatchObject({ code: "usage" });
    expect(all()).toEqual([]);
  });

  it("brings all parts of a split model, and gives the first", async () => {
    const made = await splitModel("models/fairytales-3M-Q8_0.gguf", scratch, "big-Q4_K_M", { tensors: [5] });
    for (const part of made) {
      const bytes = readFileSync(part);
      answers[`/org/repo/resolve/main/${basename(part)}`] = file(bytes, { headers: { "x-linked-etag": `"${sha256(bytes)}"` } });
    }
    answers[TREE] = tree(...made.map((part) => basename(part)));
    const path = await resolveModel("hf:org/repo:Q4_K_M", quick);
    expect(path).toMatch(/big-Q4_K_M-00001-of-00002\.gguf$/);
    const { parts, tensors } = await readModel(path);
    expect(parts.map((part) => sha256(readFileSync(part.path)))).toEqual(made.map((part) => sha256(readFileSync(part))));
    expect(tensors).toHaveLength((await readModel("models/fairytales-3M-Q8_0.gguf")).tensors.length);
    asked = [];
    expect(await resolveModel("hf:org/repo:Q4_K_M", quick)).toBe(path);
    expect(asked).toEqual([]);
  });
});

describe("stores of other programs", () => {
  const put = (path: string, bytes: Buffer | string) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  };

  it("Ollama's are read by manifest and digest", async () => {
    const store = join(cache, "ollama");
    vi.stubEnv("OLLAMA_MODELS", store);
    const digest = `sha256:${sha256(MODEL)}`;
    const blob = join(store, "blobs", digest.replace(":", "-"));
    const model = { mediaType: "application/vnd.ollama.image.model", digest, size: MODEL.length };
    const manifests = join(store, "manifests", "registry.ollama.ai");
    put(join(manifests, "library", "smol", "latest"), JSON.stringify({ layers: [{ mediaType: "x" }, model] }));
    put(join(manifests, "me", "mine", "7b"), JSON.stringify({ layers: [model] }));
    await expect(find("ollama:smol", quick)).rejects.toThrow(/not whole/);
    put(blob, MODEL);
    expect(await find("ollama:smol", quick)).toEqual({ path: blob, name: "smol" });
    expect(await resolveModel("ollama:me/mine:7b", quick)).toBe(blob);
    await expect(resolveModel("ollama:other", quick)).rejects.toThrow(/ollama pull other/);
    await expect(resolveModel("ollama:../../x", quick)).rejects.toMatchObject({ code: "usage" });
    const adapter = { mediaType: "application/vnd.ollama.image.adapter", digest, size: 1 };
    put(join(manifests, "library", "tuned", "latest"), JSON.stringify({ layers: [model, adapter] }));
    await expect(resolveModel("ollama:tuned", quick)).rejects.toThrow(/with an adapter/);
    put(
      join(manifests, "library", "odd", "latest"),
      '{"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:../x"}]}',
    );
    await expect(resolveModel("ollama:odd", quick)).rejects.toThrow(/no GGUF model/);
  });

  it("LM Studio's by folder, also where it was moved to", async () => {
    vi.stubEnv("HOME", cache);
    vi.stubEnv("USERPROFILE", cache);
    const moved = join(cache, "elsewhere");
    put(join(cache, ".lmstudio-home-pointer"), `${moved}\n`);
    const path = join(moved, "models", "org", "repo", "m-Q4_K_M.gguf");
    put(path, MODEL);
    for (const name of [
      "lmstudio:org/repo",
      "lmstudio:org/repo:Q4_K_M",
      "lmstudio:org/repo/m-Q4_K_M.gguf",
      "lmstudio:org/repo/m-Q4_K_M",
    ])
      expect(await resolveModel(name, quick)).toBe(path);
    await expect(resolveModel("lmstudio:org/repo:Q8_0", quick)).rejects.toThrow(/but m-Q4_K_M.gguf/);
    await expect(resolveModel("lmstudio:org/other", quick)).rejects.toThrow(/lms get/);
  });
});

it("a path comes back as it is", async () => {
  expect(await resolveModel("models/x.gguf")).toBe("models/x.gguf");
  expect(await resolveModel("C:\\models\\x.gguf")).toBe("C:\\models\\x.gguf");
  await expect(resolveModel("")).rejects.toMatchObject({ code: "usage" });
});

it("what was downloaded can be checked and removed, with what is kept beside it, and nothing else", async () => {
  answers["/a.gguf"] = file(MODEL);
  answers["HEAD /b.gguf"] = file(MODEL);
  answers["GET /b.gguf"] = [broken(MODEL, 1000), status(404)];
  const path = await resolveModel(`${base}/a.gguf`, quick);
  await expect(resolveModel(`${base}/b.gguf`, quick)).rejects.toThrow(/404/);
  expect((await cachedModels()).map(({ partial }) => partial).sort()).toEqual([false, true]);
  expect(await removePartial()).toHaveLength(1);
  expect(await damaged(await cachedModels())).toEqual([]);
  writeFileSync(path, Buffer.concat([MODEL.subarray(0, 999), Buffer.from([1]), MODEL.subarray(1000)]));
  utimesSync(path, 1, 1);
  expect(await damaged(await cachedModels())).toHaveLength(1);
  writeFileSync(path.replace(".gguf", ".calibration.json"), "{}");
  await expect(removeCached(["none"])).rejects.toThrow(/but http/);
  expect(await removeCached([`${base}/a.gguf`])).toHaveLength(1);
  expect(all().filter((name) => /a\./.test(name))).toEqual([]);
  expect(await cachedModels()).toEqual([]);
});
