// Threads as the host has them: worker_threads on Node, Deno and Bun, Web Workers in pages, none where there is neither (service workers, workerd),
// where they are not allowed, or where the file of the thread's program is not beside this one (a bundle). Imports nothing that only Node has.

/** A thread, as whoever started it sees it. */
export interface Thread {
  post(message: unknown, transfer: readonly ArrayBuffer[]): void;
  /** Whether it keeps the process alive. At first it does not. */
  hold(working: boolean): void;
  end(): void;
}

/** What comes from a thread: answers, and its end, once, unless it was ended from here. */
export interface ThreadEars {
  heard(message: unknown): void;
  died(reason: string): void;
}

/** A way to start threads; throws with the reason where that is not possible. What cannot be told at once comes as a death. */
export type StartThread = (ears: ThreadEars) => Thread;

/** What is used of node:worker_threads. */
interface NodeWorker {
  on(event: "message" | "error" | "exit", listener: (value: never) => void): void;
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void;
  ref(): void;
  unref(): void;
  terminate(): unknown;
}
interface WorkerThreads {
  readonly Worker?: new (file: URL, options: object) => NodeWorker;
}

/** Node's own modules where there are any. Asked for at run time, so that no bundler looks for them. */
function nodeModule<T>(name: string): T | undefined {
  try {
    return globalThis.process?.getBuiltinModule?.(name) as T | undefined;
  } catch {
    return undefined;
  }
}

/** Processors that this process may use, as far as the host tells. */
export function processors(): number {
  const os = nodeModule<{ availableParallelism?: () => number }>("node:os");
  return os?.availableParallelism?.() ?? globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** Whether memory can be shared with threads: in pages only with the headers that isolate them from others' (crossOriginIsolated). */
export function sharesMemory(): boolean {
  return (
    typeof SharedArrayBuffer === "function" && (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false
  );
}

/** Starts the program of wasm-thread.ts; in worker_threads also from elsewhere, as tests of the sources need it. */
export const startThread = (ears: ThreadEars, file?: URL): Thread => {
  const threads = nodeModule<WorkerThreads>("node:worker_threads");
  if (threads?.Worker !== undefined) return nodeThread(threads.Worker, file ?? beside(), ears);
  if (typeof Worker === "function") return webThread(ears);
  throw new Error("this host has no workers");
};

const ENDED = "it ended by itself";

/** Not as `new URL(name, import.meta.url)`: a bundler for Node would lay a file beside its one. Bundlers that write CommonJS leave no address. */
function beside(): URL {
  if (!import.meta.url) throw new Error("brownian was bundled, and the file of its threads is not beside it");
  return new URL(import.meta.url.replace(/[^/]*$/, "wasm-thread.js"));
}

function nodeThread(NodeThread: NonNullable<WorkerThreads["Worker"]>, file: URL, ears: ThreadEars): Thread {
  // Options of the process (loaders, say) are for its own programs.
  const worker = new NodeThread(file, { execArgv: [], name: "brownian" });
  let over = false;
  const die = (reason: string) => {
    if (!over) ears.died(reason);
    over = true;
  };
  worker.on("message", (message: unknown) => ears.heard(message));
  worker.on("error", (error: unknown) => die(error instanceof Error ? error.message : String(error)));
  worker.on("exit", () => die(ENDED));
  worker.unref();
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    hold: (working) => (working ? worker.ref() : worker.unref()),
    end: () => {
      over = true;
      void worker.terminate();
    },
  };
}

function webThread(ears: ThreadEars): Thread {
  // Bundlers know this expression, as it stands, and take the file along.
  const worker = new Worker(new URL("./wasm-thread.js", import.meta.url), { type: "module", name: "brownian" });
  let over = false;
  worker.onmessage = ({ data }) => ears.heard(data);
  worker.onerror = (event) => {
    event.preventDefault(); // it is dealt with
    if (!over) ears.died(event.message || "its file did not load");
    over = true;
    worker.terminate();
  };
  return {
    post: (message, transfer) => worker.postMessage(message, [...transfer]),
    hold: () => undefined, // pages end as they like
    end: () => {
      over = true;
      worker.terminate();
    },
  };
}
