// The module with SIMD: the same core, compiled with the feature on.
export * from "./core";
