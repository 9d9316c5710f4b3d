// The page: a chat with dials. What it knows is in the address (dials, conversation) and in the tab (the key); texts are shown as texts only.

const ROLES = ["system", "user", "assistant"];
/** Characters of a conversation that a link may bring. */
const MOST = 100_000;
const DIALS = { sigma: 0.05, temperature: 0.7, dynamics: "quenched", tau: "", seed: 1, tokens: 200 };
const CHECKS = { both: false, equal: false, uncertainty: false };
/** Tokens with so many times the mean disagreement are underlined. */
const MORE = 1.5;
const KEY = "brownian.key";

const at = (id) => document.getElementById(id);
let messages = [];
let running;

const dial = (id) => (at(id).type === "checkbox" ? at(id).checked : at(id).value);

function setDial(id, value) {
  if (typeof CHECKS[id] === "boolean") at(id).checked = value === true || value === "true";
  else {
    const before = at(id).value;
    at(id).value = value;
    // A list takes only what is on it.
    if (at(id).value === "" && value !== "") at(id).value = before;
  }
}

function showDials() {
  for (const output of document.querySelectorAll("output")) output.value = at(output.htmlFor.value).value;
  const { both, equal } = { both: dial("both"), equal: dial("equal") };
  at("equal").disabled = !both;
  at("sigma").disabled = both && equal;
  const chosen = at("dynamics").selectedOptions[0];
  at("cost").textContent = chosen?.dataset.cost ?? "";
}

/** Dials and conversation as the fragment of a link. */
function fragment() {
  const fields = new URLSearchParams();
  for (const id of [...Object.keys(DIALS), ...Object.keys(CHECKS)]) fields.set(id, String(dial(id)));
  if (messages.length > 0) fields.set("chat", JSON.stringify(messages.map(({ role, content }) => ({ role, content }))));
  return `#${fields}`;
}

function chatOf(text) {
  if (text === null || text.length > MOST) return [];
  try {
    const list = JSON.parse(text);
    const fine = (m) => ROLES.includes(m?.role) && typeof m.content === "string";
    return Array.isArray(list) && list.every(fine) ? list.map(({ role, content }) => ({ role, content })) : [];
  } catch {
    return [];
  }
}

function readFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [id, value] of Object.entries({ ...DIALS, ...CHECKS })) setDial(id, given.get(id) ?? value);
  messages = chatOf(given.get("chat"));
  at("conversation").replaceChildren();
  for (const { role, content } of messages) {
    if (role === "assistant") newAnswer(newAnswers(), "weights", "").text.textContent = content;
    else said(content);
  }
  showDials();
}

function element(parent, name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  parent.append(made);
  return made;
}

const said = (text) => element(at("conversation"), "p", "user", text);
const newAnswers = () => element(at("conversation"), "div", "answers");

function newAnswer(parent, kind, title) {
  const card = element(parent, "section", `answer ${kind}`);
  const note = element(card, "p", "note", title);
  return { card, note, text: element(card, "div", "text") };
}

async function request(path, init = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...(init.body && { "content-type": "application/json" }), ...(key && { authorization: `Bearer ${key}` }) };
  const response = await fetch(path, { ...init, headers });
  if (response.status === 401) {
    at("door").hidden = false;
    at("key").focus();
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => undefined);
  const error = new Error(body?.error?.message ?? `The server answers ${response.status}.`);
  error.param = body?.error?.param;
  throw error;
}

/** What is asked for beside the messages, of each column. */
function columns() {
  const temperature = Number(dial("temperature"));
  const seed = Number(dial("seed")) || 0;
  const tau = Number(dial("tau"));
  const weights = { dynamics: dial("dynamics"), ...(tau > 0 && { tau }), noise_seed: seed };
  const sigma = Number(dial("sigma"));
  const common = { seed, max_tokens: Number(dial("tokens")) || DIALS.tokens };
  if (!dial("both")) {
    const moved = sigma > 0 ? { sigma, ...weights } : { sigma };
    return [
      {
        kind: sigma > 0 ? "weights" : "softmax",
        title: `σ ${sigma}, T ${temperature}`,
        body: { ...common, temperature, ...moved },
      },
    ];
  }
  const equal = dial("equal") && temperature > 0;
  const noise = equal ? { weight_temperature: temperature } : { sigma };
  const moving = equal ? `Moving weights, as surprising as T ${temperature}` : `Moving weights, σ ${sigma}`;
  return [
    { kind: "softmax", title: `Softmax, T ${temperature}`, body: { ...common, temperature, sigma: 0 } },
    { kind: "weights", title: moving, body: { ...common, temperature: 0, ...noise, ...(equal || sigma > 0 ? weights : {}) } },
  ];
}

/** Events of a stream, one by one. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = /^data: (.*)$/m.exec(part)?.[1];
      if (data !== undefined && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

async function write({ kind, title, body }, history, parent, signal) {
  const { card, note, text } = newAnswer(parent, kind, title);
  const uncertainty = dial("uncertainty");
  const asked = { messages: history, stream: true, ...body, ...(uncertainty && { uncertainty, logprobs: true }) };
  const init = { method: "POST", body: JSON.stringify(asked), signal };
  try {
    for await (const { error, choices: [choice] = [] } of events(await request("v1/chat/completions", init))) {
      if (error) throw new Error(error.message);
      text.append(choice?.delta?.content ?? "");
      if (choice?.logprobs?.content?.[0]?.uncertainty) underline(text, note, choice.logprobs.content);
    }
  } catch (error) {
    if (error.name === "AbortError") note.textContent += " (stopped)";
    else {
      card.classList.add("refused");
      note.textContent += ` (${error.message})`;
      if (error.param === "weight_temperature") note.textContent += " Untick the box to give σ by hand.";
    }
  }
  return text.textContent;
}

/** Marks the tokens that moved weights disagree about more than about others. Only where they spell the same text. */
function underline(text, note, tokens) {
  const told = tokens.filter(({ uncertainty }) => uncertainty !== undefined); // members on other servers part from the text at some token
  const mean = told.reduce((sum, { uncertainty }) => sum + uncertainty.information, 0) / told.length;
  note.textContent += `; ${mean.toPrecision(2)} nats of disagreement a token`;
  if (tokens.map(({ token }) => token).join("") !== text.textContent) return;
  text.replaceChildren();
  for (const { token, uncertainty } of tokens) {
    const letters = token.trimStart();
    text.append(token.slice(0, token.length - letters.length)); // a line below a space belongs to nothing
    if (uncertainty === undefined) {
      text.append(letters);
      continue;
    }
    const span = element(text, "span", uncertainty.information > MORE * mean ? "unsure" : "", letters);
    span.title = `disagreement ${uncertainty.information.toPrecision(2)} of ${uncertainty.total.toPrecision(2)} nats`;
  }
}

async function answer() {
  running = new AbortController();
  at("stop").hidden = false;
  at("send").disabled = true;
  at("again").disabled = true;
  at("status").textContent = "writing";
  const history = [...messages];
  const parent = newAnswers();
  const { signal } = running;
  const texts = await Promise.all(columns().map((column) => write(column, history, parent, signal)));
  // Of two, the one of moving weights is gone on with.
  const last = texts.at(-1);
  if (last !== "") messages.push({ role: "assistant", content: last });
  at("stop").hidden = true;
  at("send").disabled = false;
  at("again").disabled = false;
  at("status").textContent = "done";
  running = undefined;
}

function ask() {
  const text = at("question").value.trim();
  if (text === "" || running) return;
  at("question").value = "";
  messages.push({ role: "user", content: text });
  said(text);
  void answer();
}

function again() {
  if (running) return;
  if (messages.at(-1)?.role === "assistant") messages.pop();
  if (messages.at(-1)?.role !== "user") return;
  at("seed").value = (Number(dial("seed")) || 0) + 1;
  showDials();
  void answer();
}

async function share() {
  history.replaceState(null, "", fragment());
  const copied = await navigator.clipboard?.writeText(location.href).then(
    () => true,
    () => false,
  );
  at("status").textContent = copied ? "The link is copied." : "The link is in the address bar.";
}

async function greet() {
  try {
    const { data } = await (await request("v1/models")).json();
    at("model").textContent = data.map(({ id, context_size }) => `${id}, ${context_size} tokens`).join("; ");
    at("door").hidden = true;
  } catch (error) {
    at("status").textContent = error.message;
  }
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
at("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  ask();
});
addEventListener("keydown", (event) => event.key === "Escape" && running?.abort());
at("stop").addEventListener("click", () => running?.abort());
at("again").addEventListener("click", again);
at("new").addEventListener("click", () => {
  running?.abort();
  messages = [];
  at("conversation").replaceChildren();
  at("question").focus();
});
at("share").addEventListener("click", () => void share());
at("dials").addEventListener("input", showDials);
at("dials").addEventListener("submit", (event) => event.preventDefault());
at("door").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("key").value);
  at("key").value = "";
  void greet();
});
addEventListener("hashchange", readFragment);
readFragment();
void greet();
