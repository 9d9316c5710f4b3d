// llama.cpp's own server, if there is one: BROWNIAN_LLAMA_SERVER names its program.
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as wait } from "node:timers/promises";

/** The program; undefined where none is named. */
export const llamaServerProgram = process.env.BROWNIAN_LLAMA_SERVER || undefined;

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });

export interface RunningServer {
  readonly url: string;
  stop(): void;
}

/** Starts it with one thread and waits until it answers. */
export async function startLlamaServer(args: readonly string[]): Promise<RunningServer> {
  const port = String(await freePort());
  const all = [...args, "-t", "1", "--host", "127.0.0.1", "--port", port, "--no-webui"];
  // In a group of its own: the program may be a script that starts another.
  const server: ChildProcess = spawn(llamaServerProgram as string, all, { stdio: "ignore", detached: true });
  const url = `http://127.0.0.1:${port}`;
  const stop = () => {
    try {
      process.kill(-(server.pid as number), "SIGKILL");
    } catch {
      // it is gone
    }
  };
  for (;;) {
    if ((await fetch(`${url}/health`).catch(() => undefined))?.ok) return { url, stop };
    if (server.exitCode !== null) throw new Error(`llama-server ended with ${server.exitCode}`);
    await wait(100);
  }
}
