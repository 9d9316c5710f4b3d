// docs/figures/demo.png: the demo page in headless Chromium, when both columns have written.
//   node scripts/figures/demo.mjs [--width 1240] [--dark] [--output FILE.png]      needs `npm run setup` and /usr/bin/chromium
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { build, serve } from "../build/demo.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const CHROMIUM = "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];

const { values } = parseArgs({
  options: {
    width: { type: "string", default: "1240" },
    dark: { type: "boolean" },
    output: { type: "string", default: join(ROOT, "docs", "figures", "demo.png") },
  },
});

const folder = mkdtempSync(join(tmpdir(), "brownian-figure-"));
const { server, address } = await serve(await build(folder));
const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
try {
  const viewport = { width: Number(values.width), height: 900 };
  const page = await browser.newPage({ viewport, reducedMotion: "reduce", colorScheme: values.dark ? "dark" : "light" });
  await page.goto(address);
  await page.waitForFunction(() => document.getElementById("status")?.textContent !== "", undefined, {
    polling: 200,
    timeout: 0,
  });
  await page.screenshot({ path: values.output, fullPage: true });
} finally {
  await browser.close();
  server.close();
  rmSync(folder, { recursive: true });
}
console.log(`${values.output}: written`);
