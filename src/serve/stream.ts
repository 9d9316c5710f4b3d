// Answers as they are written: server-sent events. The text is never held up by a slow reader, who would keep a place from others; what he has not read
// is in memory, and no more than one answer.

/** Sends one event; nothing once the reader is gone. */
export type Send = (data: unknown, event?: string) => void;

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no", // nginx would collect them
};

/**
 * A response of events that `work` sends. Between them, comments that keep the connection alive.
 * @param quiet seconds without anything after which a comment is sent
 * @param gone called when the reader has gone away
 */
export function eventStream(work: (send: Send) => Promise<void>, quiet: number, gone: () => void): Response {
  const encoder = new TextEncoder();
  let open = true;
  let timer: NodeJS.Timeout | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const put = (text: string) => {
        if (!open) return;
        controller.enqueue(encoder.encode(text));
        timer?.refresh();
      };
      timer = setInterval(() => put(": still here\n\n"), quiet * 1000);
      const send: Send = (data, event) =>
        put(
          `${event === undefined ? "" : `event: ${event}\n`}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`,
        );
      void work(send).finally(() => {
        clearInterval(timer);
        if (open) controller.close();
        open = false;
      });
    },
    cancel() {
      open = false;
      clearInterval(timer);
      gone();
    },
  });
  return new Response(body, { headers: HEADERS });
}
