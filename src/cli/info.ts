// brownian info: what runs here, what does not and why, and what to do about it.

import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { Command } from "commander";
import { installLine } from "../engine/install.js";
import { packagesForGpus } from "../engine/llama-c/library.js";
import { backend } from "../kernels/backend.js";
import { nativeTargets } from "../kernels/native.js";
import { describeEngine } from "../llama/index.js";
import { table } from "../report/table.js";
import type { Invocation } from "./command.js";

interface Options {
  readonly json?: boolean;
}

export function infoCommand(_: Invocation): Command {
  return new Command("info")
    .description("show the backend in use, why others are not, the engine, and versions")
    .option("--json", "print one JSON document")
    .action(info);
}

async function info({ json }: Options): Promise<void> {
  const facts = await gather();
  if (json) {
    process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`);
    return;
  }
  const rows = [
    ["brownian", facts.version],
    ["node", `${facts.node}, ${facts.platform}`],
    ["processor", `${facts.processor}, ${facts.cores} cores for this process`],
    ["backend", `${facts.backend} ${facts.isa}${facts.forced.length > 0 ? ` (forced: ${facts.forced.join(" ")})` : ""}`],
    ...facts.rejected.map((r) => ["", `not ${r.backend}${r.isa ? ` ${r.isa}` : ""}: ${r.reason}`]),
    ...facts.native.map((t) => ["", `native ${t.name}: ${t.runs ? "runs here" : t.reason}`]),
    ["threads", facts.threadless === null ? String(facts.threads) : `no others than the main one: ${facts.threadless}`],
    ["engine", facts.engine],
    ...facts.advice.map((line) => ["advice", line]),
  ];
  process.stdout.write(`${table(rows)}\n`);
}

async function gather() {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  const advice: string[] = [];
  if (backend.name !== "native" && backend.forced.length === 0) {
    advice.push("for full speed, compile the native addon for this machine: npx brownian build-native");
  }
  if (backend.name === "js" && backend.forced.length === 0)
    advice.push("WebAssembly is not available either: JavaScript is ten times slower");
  const threads = await backend.threads();
  let engine: string;
  try {
    const found = await describeEngine();
    engine = `${found.name}, llama.cpp ${found.llamaCpp} (${found.build}), ${found.cores} cores`;
    for (const { name, reason } of found.rejected) advice.push(`the engine ${name} is not used: ${reason}`);
  } catch (error) {
    engine = (error as Error).message;
    advice.push(`generate, chat, serve, calibrate and compare need the engine, perturb and inspect do not: ${installLine()}`);
  }
  const unused = packagesForGpus();
  if (unused.length > 0)
    advice.push(
      `${unused.join(", ")} of @node-llama-cpp are for GPUs (--gpu-layers), where only adapters carry noise; if you use none: npm uninstall node-llama-cpp, then ${installLine()}`,
    );
  return {
    version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    backend: backend.name,
    isa: backend.isa,
    forced: backend.forced,
    rejected: backend.rejected,
    native: targetsOrNone(),
    threads: threads.number,
    threadless: threads.reason ?? null,
    engine,
    advice,
  };
}

function targetsOrNone() {
  try {
    return nativeTargets();
  } catch {
    return []; // there is no addon: `rejected` says why
  }
}
