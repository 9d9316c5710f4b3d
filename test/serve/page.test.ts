// The server's page in a real browser: headless Chromium. Skipped, with the reason on the console, where none is installed (Debian: chromium).
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DYNAMICS } from "../../src/thermostat/dynamics/index.js";
import { type Started, started, why } from "./support.js";

const CHROMIUM = "/usr/bin/chromium";
const missing = why ?? (existsSync(CHROMIUM) ? undefined : `there is no ${CHROMIUM} (Debian: apt-get install chromium)`);
if (missing !== undefined) console.warn(`SKIPPED the server's page in a browser: ${missing}`);
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];

let here: Started;
let browser: Browser;
/** One tab for all tests, which takes a browser longer to make than all that is done in it. */
let page: Page;
let complaints: string[] = [];

beforeAll(async () => {
  if (missing !== undefined) return;
  here = await started();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  page = await browser.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(here.url) && !/^data:/.test(request.url())) complaints.push(`asked ${request.url()}`);
  });
});
afterAll(() => browser?.close());

/** The page anew, as from a link that somebody gave; its complaints, and its requests to others, are collected. */
async function open(url: string) {
  await page.goto("about:blank"); // else what is behind # alone would be another
  complaints = [];
  await page.goto(url);
}

const done = () =>
  page.waitForFunction(() => document.getElementById("status")?.textContent === "done", undefined, {
    polling: 50,
    timeout: 60_000,
  });
const texts = () => page.locator(".answer .text").allTextContents();
const link = (fields: Record<string, string | number | boolean>) =>
  `${here.url}/#${new URLSearchParams(Object.entries(fields).map(([key, value]) => [key, String(value)]))}`;

describe.skipIf(missing !== undefined)("the page", () => {
  it("chats by the keyboard, the same again from the same seed, and asks nobody else", async () => {
    const asked = async () => {
      await open(link({ sigma: 0.1, temperature: 0, seed: 5, tokens: 12 }));
      await page.locator("#question").fill("Tell me of a king.");
      await page.locator("#question").press("Enter");
      await done();
      expect(complaints).toEqual([]);
      return texts();
    };
    const [first = ""] = await asked();
    expect(first).not.toBe("");
    expect(await page.locator("#model").textContent()).toContain("fairytales");
    expect(await page.locator("#dynamics option").allTextContents()).toEqual(Object.values(DYNAMICS).map(({ name }) => name));
    await page.locator("#dynamics").selectOption("andersen");
    expect(await page.locator("#cost").textContent()).toMatch(/andersen: Each text has the model to itself/);
    expect(complaints).toEqual([]);
    expect(await asked()).toEqual([first]);
  });

  it("puts softmax beside moving weights at equal surprise, underlines, and shares a link that shows the same", async () => {
    await open(link({ temperature: 0.5, both: true, equal: true, uncertainty: true, tokens: 12, seed: 2 }));
    expect(await page.locator("#sigma").isDisabled()).toBe(true);
    await page.locator("#question").fill("A <b>king</b>?");
    await page.locator("#send").click();
    await done();
    const notes = await page.locator(".note").allTextContents();
    expect(notes[0]).toMatch(/^Softmax, T 0.5; \S+ nats of disagreement/);
    expect(notes[1]).toMatch(/^Moving weights, as surprising as T 0.5; \S+ nats of disagreement/);
    expect(await page.locator(".unsure").count()).toBeGreaterThan(0);
    expect(await page.locator(".user").textContent()).toBe("A <b>king</b>?");
    const [, moved] = await texts();
    await page.locator("#share").click();
    await page.waitForFunction(() => location.hash.includes("chat="));
    expect(complaints).toEqual([]);
    await open(page.url());
    expect(await texts()).toEqual([moved]);
    expect(await page.locator("#temperature").inputValue()).toBe("0.5");
    expect(complaints).toEqual([]);
  });

  it("shows a refusal in its place, and takes no nonsense from a link", async () => {
    await open(link({ sigma: "x", dynamics: "none", temperature: 99, chat: '[{"role":"root","content":1}]' }));
    expect(await page.locator("#dynamics").inputValue()).toBe("quenched");
    expect(await page.locator("#temperature").inputValue()).toBe("1.5");
    expect(await texts()).toEqual([]);
    await page.locator("#tokens").fill("4000");
    await page.locator("#question").fill("x".repeat(3000));
    await page.locator("#send").click();
    await done();
    expect(await page.locator(".refused .note").textContent()).toMatch(/tokens/);
  });

  it("stops at Escape", async () => {
    // Pressed in the page, at the first letter. The server may have come to the end of the text by then, where the browser waits for a processor: once more.
    for (let tries = 0, said = ""; !/stopped/.test(said); tries++) {
      expect(tries, said).toBeLessThan(8);
      await open(link({ sigma: 0.05, dynamics: "white", tokens: 200 }));
      await page.locator("#question").fill("A king?");
      await page.evaluate(() => {
        const observer = new MutationObserver(() => {
          if (!document.querySelector(".answer .text")?.textContent) return;
          observer.disconnect();
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
        });
        observer.observe(document.body, { subtree: true, childList: true, characterData: true });
      });
      await page.locator("#send").click();
      await done();
      said = (await page.locator(".note").textContent()) ?? "";
    }
  });

  it.each([
    ["light", 360],
    ["dark", 1200],
  ] as const)("is %s where that is wanted, and no wider than %i pixels", async (colorScheme, width) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 700 });
    await open(`${here.url}/`);
    const { background, scroll } = await page.evaluate(() => ({
      background: getComputedStyle(document.body).backgroundColor,
      scroll: document.documentElement.scrollWidth,
    }));
    expect(background).toBe(colorScheme === "dark" ? "rgb(19, 20, 23)" : "rgb(251, 249, 244)");
    expect(scroll).toBeLessThanOrEqual(width);
    expect(complaints).toEqual([]);
  });

  it("asks for the key where there is one, and keeps it in the tab alone", async () => {
    const keyed = await started({ apiKey: "secret" }, { parallel: 1 });
    await open(`${keyed.url}/`);
    await page.locator("#key").fill("wrong");
    await page.locator("#door button").click();
    await page.waitForFunction(() => /missing or wrong/.test(document.getElementById("status")?.textContent ?? ""));
    await page.locator("#key").fill("secret");
    await page.locator("#key").press("Enter");
    await page.waitForFunction(() => document.getElementById("model")?.textContent !== "");
    expect(await page.locator("#door").isHidden()).toBe(true);
    const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
    expect(kept).toEqual([0, 1, ""]);
    expect(page.url()).not.toContain("secret");
  });
});

it.skipIf(missing !== undefined)("lets no other host in", async () => {
  const response = await fetch(`${here.url}/`);
  const policy = response.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:/);
  expect(await response.text()).not.toMatch(/https?:\/\//);
});
