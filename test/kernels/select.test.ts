// The choice of the backend: order, force, and reasons kept.
import { describe, expect, it, vi } from "vitest";
import { here } from "../../scripts/platforms/hosts.mjs";
import { BrownianError } from "../../src/errors.js";
import { hostName } from "../../src/kernels/addon.js";
import { threadCount } from "../../src/kernels/native.js";
import { select, setting } from "../../src/kernels/select.js";
import { native, wasm } from "../support/backends.js";

describe("select", () => {
  it("takes native where it runs, else WebAssembly, and says why it did not", () => {
    const { kernels, rejected, forced } = select({});
    expect(forced).toEqual([]);
    if (native.length > 0) {
      expect(kernels).toMatchObject({ backend: "native" });
      expect(rejected).toEqual([]);
    } else {
      expect(kernels.backend).toBe("wasm");
      expect(rejected[0]).toMatchObject({ backend: "native", reason: expect.stringMatching(/\w/) });
    }
  });

  it("is forced by the environment, in any case of letters", () => {
    expect(select({ BROWNIAN_BACKEND: "JS" }).kernels).toMatchObject({ backend: "js", isa: "scalar" });
    if (wasm.length === 2) {
      expect(select({ BROWNIAN_BACKEND: "wasm" }).kernels).toMatchObject({ backend: "wasm", isa: "simd128" });
      expect(select({ BROWNIAN_BACKEND: "wasm", BROWNIAN_ISA: "scalar" }).kernels).toMatchObject({
        backend: "wasm",
        isa: "scalar",
      });
      expect(select({ BROWNIAN_ISA: "simd128" }).kernels).toMatchObject({ backend: "wasm", isa: "simd128" });
    }
    for (const { name } of native) {
      const isa = name.split(" ")[1] as string;
      const { kernels, forced } = select({ BROWNIAN_BACKEND: "native", BROWNIAN_ISA: isa });
      expect(kernels).toMatchObject({ backend: "native", isa });
      expect(forced).toEqual(["BROWNIAN_BACKEND=native", `BROWNIAN_ISA=${isa}`]);
    }
  });

  it("throws when what is forced does not exist or cannot run here", () => {
    expect(() => select({ BROWNIAN_BACKEND: "cuda" })).toThrow(
      /BROWNIAN_BACKEND=cuda: there is no such backend or ISA.*native \(avx512/,
    );
    expect(() => select({ BROWNIAN_BACKEND: "js", BROWNIAN_ISA: "avx2" })).toThrow(BrownianError);
    const foreign = process.arch === "arm64" ? "avx2" : "neon";
    expect(() => select({ BROWNIAN_ISA: foreign })).toThrow(
      expect.objectContaining({ code: "backend-unavailable", message: expect.stringMatching(/cannot run here/) }),
    );
  });

  it("counts threads from BROWNIAN_THREADS, and refuses nonsense", () => {
    expect(threadCount("3")).toBe(3);
    expect(threadCount("")).toBeGreaterThanOrEqual(1);
    for (const bad of ["0", "-1", "two", "1.5"]) expect(() => threadCount(bad)).toThrow(/BROWNIAN_THREADS must be/);
  });

  it("asks for nothing that a host forbids to ask, as Deno does", () => {
    const forbid = () => {
      throw new Error("Requires env access");
    };
    vi.stubGlobal("process", { ...process, env: new Proxy({}, { get: forbid, has: forbid, ownKeys: forbid }) });
    try {
      expect(setting("BROWNIAN_BACKEND")).toBeUndefined();
    } finally {
      vi.unstubAllGlobals();
    }
  });

  // From the program's first page; scripts/platforms/hosts.mjs asks Node instead.
  it("knows what C library it runs on", () => expect(hostName()).toBe(here));
});
