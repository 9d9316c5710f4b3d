// In a browser: headless Chromium opens pages of a server on this machine, as they are and as bundlers make them.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { NotHere } from "./trial.mjs";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
};

/** What a page has to be sent with to share memory with its workers. */
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** Serves a folder; `policy` is the Content Security Policy of all that it serves, `isolated` is whether pages may share memory with workers. */
async function serve(root, { policy, isolated }) {
  const server = createServer(async ({ url }, response) => {
    try {
      const path = normalize(decodeURIComponent(new URL(url, "http://here").pathname));
      const body = await readFile(join(root, path.endsWith("/") ? `${path}index.html` : path));
      const headers = { "content-type": TYPES[extname(path) || ".html"] ?? "application/octet-stream" };
      const restricts = policy === undefined ? {} : { "content-security-policy": policy };
      response.writeHead(200, { ...headers, ...restricts, ...(isolated && ISOLATED) }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

let browser;

async function chromium() {
  if (CHROMIUM === undefined) throw new NotHere("there is no Chromium (Debian: apt-get install chromium)");
  const playwright = await import("playwright-core");
  browser ??= await playwright.chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  return browser;
}

export async function closeBrowser() {
  await browser?.close();
  browser = undefined;
}

/** What Chromium calls itself; nothing where there is none. */
export const browserName = async () =>
  CHROMIUM === undefined ? "a browser" : `Chromium ${(await chromium()).version().split(".")[0]}`;

/**
 * Opens a page of this folder and returns what it leaves in `globalThis.seen`. @throws on any error in the page that `expected` does not match, or
 * after half a minute
 */
export async function visit(root, { page: path = "index.html", policy, isolated, expected } = {}) {
  const context = await (await chromium()).newContext();
  const server = await serve(root, { policy, isolated });
  const errors = [];
  try {
    const page = await context.newPage();
    page.on("pageerror", (error) => errors.push(String(error)));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(`http://127.0.0.1:${server.address().port}/${path}`);
    const seen = await page
      .waitForFunction(() => globalThis.seen, undefined, { timeout: 30_000 })
      .then((handle) => handle.jsonValue())
      .catch((error) => {
        throw new Error(`${errors.join("; ") || error.message}`);
      });
    // A policy that refuses WebAssembly is reported by the browser; that is no error of the page's.
    const other = policy === undefined ? errors : errors.filter((text) => !/Content Security Policy|unsafe-eval/.test(text));
    const unexpected = other.filter((text) => !expected?.test(text));
    if (unexpected.length > 0) throw new Error(unexpected.join("; "));
    return seen;
  } finally {
    await context.close();
    server.closeAllConnections();
    server.close();
  }
}
