// The environment: read in one place of src/, and in one of scripts/ and bench/; typed, checked, and nothing where a host forbids to ask.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { environment } from "../../src/environment.js";

const ROOT = resolve(import.meta.dirname, "../..");
const READERS = ["src/environment.ts", "scripts/environment.mjs"];

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

describe("the environment", () => {
  it("is read in one place of the library, and in one of the scripts", () => {
    // Not where it is set, in a program that is tried.
    const read =
      /process\??\.env\b(?!\.\w+ = )|\benv\b[^;\n]*\} = (globalThis\.)?process\b|process\["env"\]|Deno\.env|import\.meta\.env/;
    const files = ["src", "scripts", "bench", "demo", "examples"].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => !file.includes("node_modules")) // scripts/docs has some of its own, once the API reference was built
        .map((file) => `${folder}/${file.replaceAll("\\", "/")}`)
        .filter((file) => /\.m?[jt]s$/.test(file)),
    );
    expect(files.length).toBeGreaterThan(150);
    expect(files.filter((file) => read.test(readFileSync(join(ROOT, file), "utf8"))).sort()).toEqual(READERS.sort());
  });

  it("says nothing where a variable is not set, or empty", () => {
    for (const value of [undefined, ""]) {
      vi.stubEnv("BROWNIAN_BACKEND", value);
      vi.stubEnv("BROWNIAN_THREADS", value);
      expect(environment.backend).toBeUndefined();
      expect(environment.threads).toBeUndefined();
    }
  });

  it("is read whenever it is asked for", () => {
    vi.stubEnv("BROWNIAN_BACKEND", "wasm");
    vi.stubEnv("BROWNIAN_ISA", "scalar");
    vi.stubEnv("BROWNIAN_SCRATCH", "/tmp");
    expect(environment).toMatchObject({ backend: "wasm", isa: "scalar", scratch: "/tmp" });
    vi.stubEnv("BROWNIAN_BACKEND", "js");
    expect(environment.backend).toBe("js");
  });

  it("counts threads from BROWNIAN_THREADS, and refuses nonsense", () => {
    vi.stubEnv("BROWNIAN_THREADS", "3");
    expect(environment.threads).toBe(3);
    for (const bad of ["0", "-1", "two", "1.5", "1025"]) {
      vi.stubEnv("BROWNIAN_THREADS", bad);
      expect(() => environment.threads).toThrow(
        expect.objectContaining({ code: "usage", message: expect.stringMatching(/BROWNIAN_THREADS must be.*1 to 1024/) }),
      );
    }
  });

  it("is not there in a browser, and no failure where a host forbids to ask, as Deno does", () => {
    const forbid = () => {
      throw new Error("Requires env access");
    };
    vi.stubGlobal("process", { ...process, env: new Proxy({}, { get: forbid, has: forbid, ownKeys: forbid }) });
    expect(environment).toMatchObject({ backend: undefined, isa: undefined, threads: undefined, scratch: undefined });
    vi.stubGlobal("process", undefined);
    expect(environment.backend).toBeUndefined();
  });
});
