// A server that is still loading its model, in the words of llama-server (build 11434): asked again until it has it, no longer than the deadline.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { Server } from "../../src/adapters/servers/http.js";

const LOADING = { error: { message: "Loading model", type: "unavailable_error", code: 503 } };

async function loading(times: number, deadline: number) {
  let asked = 0;
  const server = createServer((_, response) => {
    const ready = ++asked > times;
    response.writeHead(ready ? 200 : 503, { "content-type": "application/json" }).end(JSON.stringify(ready ? [] : LOADING));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.closeAllConnections());
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.address() as AddressInfo;
  return { client: new Server(`http://127.0.0.1:${port}`, { deadline }), asked: () => asked };
}

it("waits for a server that is loading its model", async () => {
  const { client, asked } = await loading(2, 60);
  expect(await client.get("/lora-adapters")).toEqual([]);
  expect(asked()).toBe(3);
});

it("waits no longer than the deadline, and says what the server said", async () => {
  const { client, asked } = await loading(Number.POSITIVE_INFINITY, 0.4);
  await expect(client.get("/lora-adapters")).rejects.toThrow(/HTTP 503\): Loading model|not within 0.4 s/);
  expect(asked()).toBeGreaterThanOrEqual(1);
});

it("can be ended while it waits", async () => {
  const { client } = await loading(Number.POSITIVE_INFINITY, 60);
  const end = new AbortController();
  const asked = client.get("/lora-adapters", end.signal);
  setTimeout(() => end.abort(new Error("enough")), 20);
  await expect(asked).rejects.toThrow("enough");
});
