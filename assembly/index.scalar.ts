// The module without SIMD.
export * from "./core";
