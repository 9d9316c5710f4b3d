// Two hundred clients that break off, whenever they do: before, within and after the answer. The server lives, and has all its places again.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { CHAT, post, started, why } from "./support.js";

const CLIENTS = 200;

it.skipIf(why !== undefined)("a server outlives clients that break off", async () => {
  const { url, logged } = await started({ queue: 1000 });
  const clients = Array.from({ length: CLIENTS }, async (_, i) => {
    const abort = new AbortController();
    const body = { messages: CHAT, max_tokens: 20, seed: i, stream: i % 2 === 0, ...(i % 5 === 0 && { sigma: 0.1 }) };
    const asked = post(url, "/v1/chat/completions", body, {}, abort.signal).then((response) => response.text());
    setTimeout(() => abort.abort(), 2 * i);
    await asked.catch(() => undefined);
  });
  await Promise.all(clients);
  const health = async () => (await (await fetch(`${url}/health`)).json()) as { running: number; waiting: number };
  for (let state = await health(); state.running + state.waiting > 0; state = await health()) await sleep(10);
  const response = await post(url, "/v1/chat/completions", { messages: CHAT, max_tokens: 3 });
  expect(response.status).toBe(200);
  expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/broken_off\w* [1-9]/);
  expect(logged).toEqual([]);
});
