// The page: dials, link, two columns, bars and the picture of the motion. All that computes for long does so in workers.

import profileData from "../models/fairytales-3M-Q8_0.calibration.json";
import { BrownianError, noiseFlipRate, type Profile, softmaxFlipRate, weightSigma } from "../src/index.web.js";
import { byId, ColumnView } from "./column-view.js";
import { DrawsChart } from "./draws-chart.js";
import { MotionPicture } from "./motion-picture.js";
import type { ColumnName, Sample, Visit } from "./protocol.js";
import { DIALS, hashOf, onDial, type Settings, settingsOf } from "./settings.js";

/** Draws of the next token, and tokens of a text. */
const LENGTHS = { draws: 20, tokens: 96 };

const profile = profileData as Profile;
/** Milliseconds that a dial rests before texts are written anew. */
const REST = 140;

/** Which columns a setting matters to. */
const CONCERNS: Record<keyof Settings, readonly ColumnName[]> = {
  temperature: ["softmax"],
  sigma: ["weights"],
  seed: ["softmax", "weights"],
  prompt: ["softmax", "weights"],
};

type DialName = keyof typeof DIALS;
const dials = Object.fromEntries(Object.keys(DIALS).map((name) => [name, byId(name)])) as Record<DialName, HTMLInputElement>;
const prompt = byId<HTMLInputElement>("prompt");
const failure = byId("failure");

let settings = settingsOf(location.hash);
const visit = visitOf(location.search);
const chart = new DrawsChart(byId<HTMLTableElement>("draws").tBodies[0] as HTMLTableSectionElement, visit.draws);
const resting = new MotionPicture(byId("resting"));
const moving = new MotionPicture(byId("moving"));
const waiting = new Set<ColumnName>(["softmax", "weights"]);
const columns = openColumns();

/** What ?reload&draws=6&tokens=32 asks for. */
function visitOf(search: string): Visit {
  const asked = new URLSearchParams(search);
  const length = (name: keyof typeof LENGTHS) => Number.parseInt(asked.get(name) ?? "", 10) || LENGTHS[name];
  return { reload: asked.has("reload"), draws: length("draws"), tokens: length("tokens") };
}

function openColumns(): Record<ColumnName, ColumnView> {
  const open = (name: ColumnName) =>
    new ColumnView(
      name,
      chart,
      {
        opened: (weights, sample) => {
          if (name === "weights") showWeights(weights, sample);
        },
        failed: (message) => showFailure(name, message),
        done: () => {
          waiting.delete(name);
          if (waiting.size === 0) byId("status").textContent = "Both texts are written.";
        },
      },
      visit,
    );
  return { softmax: open("softmax"), weights: open("weights") };
}

const failures = new Map<ColumnName, string>();

function showFailure(column: ColumnName, message: string): void {
  failures.set(column, message);
  const messages = [...new Set(failures.values())].filter((text) => text !== "");
  failure.textContent = messages.join(" ");
  failure.hidden = messages.length === 0;
}

function showWeights(weights: number, sample: Sample): void {
  byId("weights").textContent = weights.toLocaleString("en");
  resting.show(sample, settings.seed);
  moving.show(sample, settings.seed);
  const captions = () => {
    byId("resting-caption").textContent = `${resting.count} of the weights at rest, two a dot (${sample.tensor}, ${sample.type})`;
    byId("moving-caption").textContent = `The same ${moving.count}, moving on the grid of their codes`;
  };
  captions();
  addEventListener("resize", captions);
}

/** What the controls say about the settings. */
function showSettings(): void {
  for (const [name, dial] of Object.entries(dials) as [DialName, HTMLInputElement][]) {
    dial.value = String(settings[name]);
    dial.style.setProperty("--filled", String((settings[name] - DIALS[name].min) / (DIALS[name].max - DIALS[name].min)));
    const value = name === "seed" ? String(settings.seed) : settings[name].toFixed(name === "sigma" ? 3 : 2);
    byId(`${name}-value`).textContent = value;
    dial.setAttribute("aria-valuetext", value);
  }
  if (prompt.value !== settings.prompt) prompt.value = settings.prompt;
  byId("temperature-flips").textContent = flips(softmaxFlipRate(profile, settings.temperature));
  const { sigma: limit } = profile.breaking;
  byId("sigma-flips").textContent =
    flips(noiseFlipRate(profile, settings.sigma)) +
    (settings.sigma > limit ? `. Beyond ${limit.toFixed(2)} noise breaks this model` : "");
}

/** Measured on held-out text by `brownian calibrate`. */
const flips = (rate: number) => `Strays from the likeliest token ${Math.round(100 * rate)} % of the time`;

/** Takes new settings: shows them, and once they rest, puts them in the link and has the columns that they concern write anew. */
function change(next: Partial<Settings>): void {
  const before = settings;
  settings = { ...settings, ...next };
  showSettings();
  const changed = (Object.keys(CONCERNS) as (keyof Settings)[]).filter((name) => settings[name] !== before[name]);
  if (changed.length === 0) return;
  if (changed.includes("sigma")) moving.setSigma(settings.sigma);
  for (const name of changed) for (const column of CONCERNS[name]) due.add(column);
  clearTimeout(timer);
  timer = setTimeout(writeAnew, REST);
}

const due = new Set<ColumnName>();
let timer: ReturnType<typeof setTimeout> | undefined;

function writeAnew(): void {
  history.replaceState(null, "", hashOf(settings));
  byId("status").textContent = "";
  for (const column of due) {
    waiting.add(column);
    columns[column].write(settings);
  }
  due.clear();
}

for (const [name, dial] of Object.entries(dials) as [DialName, HTMLInputElement][]) {
  Object.assign(dial, { min: DIALS[name].min, max: DIALS[name].max, step: DIALS[name].step });
  dial.addEventListener("input", () => change({ [name]: onDial(DIALS[name], dial.value, settings[name]) }));
}
prompt.addEventListener("input", () => change({ prompt: prompt.value }));
byId("dials").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => change(settingsOf(location.hash)));

byId("match").addEventListener("click", () => {
  try {
    change({ sigma: onDial(DIALS.sigma, String(weightSigma(profile, settings.temperature)), settings.sigma) });
  } catch (error) {
    if (!(error instanceof BrownianError)) throw error;
    byId("sigma-flips").textContent = `No σ strays as often as T = ${settings.temperature} without breaking this model`;
  }
});

const copy = byId<HTMLButtonElement>("copy");
copy.addEventListener("click", async () => {
  history.replaceState(null, "", hashOf(settings));
  try {
    await navigator.clipboard.writeText(location.href);
    copy.textContent = "Copied";
  } catch {
    // Not allowed here (or no secure page): the address bar has it.
    copy.textContent = "Copy it from the address bar";
  }
  byId("status").textContent = copy.textContent;
  setTimeout(() => {
    copy.textContent = "Copy link";
  }, 2000);
});

const pause = byId<HTMLButtonElement>("pause");
function move(on: boolean): void {
  pause.textContent = on ? "Pause" : "Move";
  moving.move(on);
}
pause.addEventListener("click", () => move(pause.textContent === "Move"));

showSettings();
moving.setSigma(settings.sigma);
move(!matchMedia("(prefers-reduced-motion: reduce)").matches);
due.add("softmax").add("weights");
writeAnew();
