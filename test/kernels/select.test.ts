// The choice of the backend: order, force, and reasons kept.
import { describe, expect, it } from "vitest";
import { here } from "../../scripts/platforms/hosts.mjs";
import { BrownianError } from "../../src/errors.js";
import { hostName } from "../../src/kernels/addon.js";
import { select } from "../../src/kernels/select.js";
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
    expect(select({ backend: "JS" }).kernels).toMatchObject({ backend: "js", isa: "scalar" });
    if (wasm.length === 2) {
      expect(select({ backend: "wasm" }).kernels).toMatchObject({ backend: "wasm", isa: "simd128" });
      expect(select({ backend: "wasm", isa: "scalar" }).kernels).toMatchObject({
        backend: "wasm",
        isa: "scalar",
      });
      expect(select({ isa: "simd128" }).kernels).toMatchObject({ backend: "wasm", isa: "simd128" });
    }
    for (const { name } of native) {
      const isa = name.split(" ")[1] as string;
      const { kernels, forced } = select({ backend: "native", isa });
      expect(kernels).toMatchObject({ backend: "native", isa });
      expect(forced).toEqual(["BROWNIAN_BACKEND=native", `BROWNIAN_ISA=${isa}`]);
    }
  });

  it("throws when what is forced does not exist or cannot run here", () => {
    expect(() => select({ backend: "cuda" })).toThrow(/BROWNIAN_BACKEND=cuda: there is no such backend or ISA.*native \(avx512/);
    expect(() => select({ backend: "js", isa: "avx2" })).toThrow(BrownianError);
    const foreign = process.arch === "arm64" ? "avx2" : "neon";
    expect(() => select({ isa: foreign })).toThrow(
      expect.objectContaining({ code: "backend-unavailable", message: expect.stringMatching(/cannot run here/) }),
    );
  });

  // From the program's first page; scripts/platforms/hosts.mjs asks Node instead.
  it("knows what C library it runs on", () => expect(hostName()).toBe(here));
});
