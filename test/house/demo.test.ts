// The page in a real browser: headless Chromium. Skipped, with the reason on the console, where none is installed (Debian: chromium).
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DEFAULTS, hashOf, PROMPT_AT_MOST, settingsOf } from "../../demo/settings.js";
import { build, serve } from "../../scripts/build/demo.mjs";
import { FORMATS } from "../../src/lattice/formats.js";
import { perturb } from "../../src/lattice/perturb.js";
import { Noise } from "../../src/noise/index.js";
import { perturbFile } from "../../src/thermostat/perturb-file.js";

const CHROMIUM = "/usr/bin/chromium";
const MODEL = resolve(import.meta.dirname, "../../models/fairytales-3M-Q8_0.gguf");
const missing = existsSync(CHROMIUM) ? null : `there is no ${CHROMIUM} (Debian: apt-get install chromium)`;
/** What headless Chromium needs as root and without a network; and to compile what of WebAssembly is called: the engine has ten megabytes of it. */
const FLAGS = [
  "--js-flags=--wasm-lazy-compilation",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
];

const scratch = mkdtempSync(join(tmpdir(), "brownian-demo-"));
let browser: Browser;
let server: Server;
let address: string;

beforeAll(async () => {
  if (missing !== null) return console.warn(`SKIPPED the page in a browser: ${missing}`);
  ({ server, address } = await serve(await build(join(scratch, "page"))));
  browser = await chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, "--disable-component-update", "--disable-sync"] });
});

afterAll(async () => {
  await browser?.close();
  server?.close();
  rmSync(scratch, { recursive: true });
});

/** A page whose errors and warnings are collected. */
async function open(path: string): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage({ viewport: { width: 800, height: 600 }, reducedMotion: "reduce" });
  const complaints: string[] = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("requestfailed", (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
  await page.goto(`${address}${path}`);
  return { page, complaints };
}

/** Waits for something in the page; looks now and then only, since the page is to have the processor. */
async function until(page: Page, condition: () => boolean): Promise<void> {
  await page.waitForFunction(condition, undefined, { polling: 100, timeout: 0 });
}

interface Seen {
  readonly softmax: string;
  readonly weights: string;
  readonly sha256: string;
  /** Draws by token, of both columns. */
  readonly draws: Record<string, [number, number]>;
}

/** What the page shows once both columns are done. */
async function seen(page: Page): Promise<Seen> {
  await until(page, () => document.getElementById("status")?.textContent !== "");
  return page.evaluate(() => {
    const text = (selector: string) => document.querySelector(selector)?.textContent ?? "";
    const rows = Array.from(document.querySelectorAll("#draws tbody tr"), (row) => {
      const [softmax, token, weights] = Array.from(row.children, (cell) => cell.textContent ?? "");
      return [token, [Number(softmax), Number(weights)]];
    });
    const code = document.querySelector("#weights-note code") as HTMLElement;
    const draws = Object.fromEntries(rows.filter(([token]) => token !== "\u00a0"));
    return { softmax: text("#softmax-text"), weights: text("#weights-text"), sha256: code.title, draws };
  });
}

/** Brings a slider to its beginning by the keyboard, and waits until its column has begun anew. */
async function toZero(page: Page, dial: string): Promise<void> {
  await page.locator(`#${dial}`).press("Home");
  await until(page, () => document.getElementById("status")?.textContent === "");
}

/** A page writes for as long as it takes to see whether it does: texts are shorter, draws fewer than a reader gets. */
const DRAWS = 4;
const SHORT = `draws=${DRAWS}&tokens=20`;

describe("the page", () => {
  it("writes in both columns, as its link says, and says so again", async ({ skip }) => {
    if (missing !== null) return skip(missing);
    const link = hashOf({ temperature: 0.8, sigma: 0.1, seed: 3, prompt: "Once upon a time" });
    const { page, complaints } = await open(`?${SHORT}${link}`);
    const first = await seen(page);
    for (const text of [first.softmax, first.weights]) {
      expect(text).toMatch(/^Once upon a time/);
      expect(text.length).toBeGreaterThan(50);
    }
    expect(first.softmax).not.toBe(first.weights);
    for (const column of [0, 1] as const)
      expect(Object.values(first.draws).reduce((sum, counts) => sum + counts[column], 0)).toBe(DRAWS);

    // The file that the right column wrote with is the one that Node makes from the same settings.
    const moved = join(scratch, "moved.gguf");
    await perturbFile(MODEL, moved, { sigma: 0.1, seed: 3 });
    expect(first.sha256).toContain(createHash("sha256").update(readFileSync(moved)).digest("hex"));

    // The weights in the picture stand still, since this reader asked for less motion, until they are told to move.
    const picture = () => page.evaluate(() => (document.getElementById("moving") as HTMLCanvasElement).toDataURL());
    const atRest = await picture();
    expect(await picture()).toBe(atRest);
    await page.getByRole("button", { name: "Move" }).click();
    await expect.poll(picture, { timeout: 2 ** 31 - 1 }).not.toBe(atRest);
    await page.getByRole("button", { name: "Pause" }).click();

    // Each dial changes its own column, and the link. Where nothing is warm, both write the model's likeliest tokens.
    await toZero(page, "sigma");
    const still = await seen(page);
    expect(still.weights).not.toBe(first.weights);
    expect(still.softmax).toBe(first.softmax);
    await toZero(page, "temperature");
    const cold = await seen(page);
    expect(cold.softmax).not.toBe(first.softmax);
    expect(cold.softmax).toBe(still.weights);
    expect(Object.values(cold.draws).filter(([dice, moves]) => dice === DRAWS && moves === DRAWS)).toHaveLength(1);
    expect(settingsOf(new URL(page.url()).hash)).toEqual({ temperature: 0, sigma: 0, seed: 3, prompt: "Once upon a time" });

    // Back where the link began: the same texts, draws and bytes, whatever was written in between.
    await page.evaluate((hash) => {
      location.hash = hash;
    }, link);
    await until(page, () => document.getElementById("status")?.textContent === "");
    expect(await seen(page)).toEqual(first);
    expect(complaints).toEqual([]);
    await page.close();

    // The link again, now in engines that load the moved file instead of being written to: those see every byte that is moved in place.
    const loaded = await open(`?reload&draws=1&tokens=20${link}`);
    await until(loaded.page, () => document.querySelectorAll('.text[aria-busy="false"]').length === 2);
    expect(await loaded.page.textContent("#softmax-text")).toBe(first.softmax);
    expect(await loaded.page.textContent("#weights-text")).toBe(first.weights);
    await loaded.page.close();
  });

  it("says in words what is missing", async ({ skip }) => {
    if (missing !== null) return skip(missing);
    const page = await browser.newPage({ reducedMotion: "reduce" });
    await page.route("**/*.gguf", (route) => route.fulfill({ status: 404 }));
    await page.goto(address);
    await page.waitForSelector("#failure:not([hidden])");
    expect(await page.textContent("#failure")).toMatch(/^fairytales-3M-Q8_0\.gguf is missing here \(HTTP status 404\)/);
    await page.unroute("**/*.gguf");

    const strict = readFileSync(join(scratch, "page", "index.html"), "utf8").replace("'wasm-unsafe-eval'", "");
    const policy = /content="(default-src[^"]*)"/.exec(strict)?.[1] as string;
    // Workers take the policy that they are delivered with.
    await page.route("**/*.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": policy } });
    });
    await page.reload();
    await page.waitForSelector("#failure:not([hidden])");
    expect(await page.textContent("#failure")).toMatch(/^This browser has no WebAssembly, or this page forbids it/);
    await page.close();
  });
});

describe("bytes in Chromium", () => {
  type Library = Pick<typeof import("../../src/index.web.js"), "FORMATS" | "Noise" | "perturb">;

  /** Hashes of random blocks of every format, moved a little and a lot. Runs here and in the page, so that it may use nothing from outside. */
  async function hashes({ FORMATS, Noise, perturb }: Library): Promise<string[]> {
    const made: string[] = [];
    for (const { name, weights, bytes } of FORMATS) {
      const size = Math.ceil(6000 / weights) * bytes;
      const random = new Uint8Array(new Noise(1n).stream(name).bits(new Uint32Array(Math.ceil(size / 4))).buffer, 0, size);
      for (const sigma of [0.05, 0.4, 3]) {
        const data = random.map((byte) => byte & 0xbf); // the top bit of every exponent is 0: scales are numbers
        perturb(data, { type: name, sigma, scale: "step", seed: 42, tick: 7, ...(name === "I8" && { step: 0.01 }) });
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
        made.push(Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join(""));
      }
    }
    return made;
  }

  it("are those of Node, in every format", async ({ skip }) => {
    if (missing !== null) return skip(missing);
    const page = await browser.newPage();
    const web = readFileSync(resolve(import.meta.dirname, "../../dist/esm/web.js"));
    const script =
      '<!doctype html><script type="module">globalThis.brownian = await import("./web.js"); document.title = (await brownian.init()).name;</script>';
    await page.route("**/web.js", (route) => route.fulfill({ contentType: "text/javascript", body: web }));
    await page.route("**/blank", (route) => route.fulfill({ contentType: "text/html", body: script }));
    await page.goto(`${address}blank`);
    await until(page, () => document.title !== "");
    expect(await page.title()).toBe("wasm");
    const inChromium = await page.evaluate(`(${hashes})(brownian)`);
    const inNode = await hashes({ FORMATS, Noise, perturb });
    expect(inChromium).toEqual(inNode);
    expect(new Set(inNode).size).toBe(3 * FORMATS.length); // every move did something
    await page.close();
  });
});

describe("a link", () => {
  it("carries the settings", () => {
    const settings = { temperature: 0.35, sigma: 0.005, seed: 99, prompt: "A king & a snake, 50 % #1\u00e9" };
    expect(settingsOf(hashOf(settings))).toEqual(settings);
    expect(settingsOf("")).toEqual(DEFAULTS);
    expect(settingsOf(hashOf({ ...settings, prompt: "" })).prompt).toBe("");
  });

  it("is brought into range, whatever it says", () => {
    expect(settingsOf("#T=-3&sigma=1e9&seed=2.4&prompt=x")).toEqual({ temperature: 0, sigma: 0.4, seed: 2, prompt: "x" });
    expect(settingsOf("#T=warm&sigma=&seed=NaN")).toEqual(DEFAULTS);
    expect(settingsOf(`#prompt=${"x".repeat(999)}`).prompt).toHaveLength(PROMPT_AT_MOST);
  });
});
