// Made by scripts/build/engine-releases.mjs from the headers and libraries of these releases of llama.cpp: where the fields of its structures of
// parameters lie (offset, bytes, and the default that the library returns, in hexadecimal), and a hash of what is declared of the functions
// that native/engine/library.h takes. A release that is not here is not called.

/** Offset, bytes, default as hexadecimal bytes. */
export type Field = readonly [offset: number, bytes: number, value: string];

export interface Layout {
  readonly size: number;
  readonly fields: Readonly<Record<string, Field>>;
}

export interface Release {
  /** What the library says of itself. */
  readonly version: string;
  /** Of the functions' declarations. */
  readonly declarations: string;
  readonly model: Layout;
  readonly context: Layout;
}

export const RELEASES: Readonly<Record<string, Release>> = {
  "v0.5.0": {
    version: "0.5.0-dev",
    declarations: "c262586df81aa79e",
    model: {
      size: 80,
      fields: {
        devices: [0, 8, "0000000000000000"],
        tensor_buft_overrides: [8, 8, "0000000000000000"],
        n_gpu_layers: [16, 4, "ffffffff"],
        split_mode: [20, 4, "01000000"],
        load_mode: [24, 4, "ffffffff"],
        lazy_mode: [28, 4, "01000000"],
        main_gpu: [32, 4, "00000000"],
        tensor_split: [40, 8, "0000000000000000"],
        progress_callback: [48, 8, "0000000000000000"],
        progress_callback_user_data: [56, 8, "0000000000000000"],
        kv_overrides: [64, 8, "0000000000000000"],
        vocab_only: [72, 1, "00"],
        check_tensors: [73, 1, "00"],
        use_extra_bufts: [74, 1, "01"],
        no_host: [75, 1, "00"],
        no_alloc: [76, 1, "00"],
        load_mtp: [77, 1, "00"],
      },
    },
    context: {
      size: 160,
      fields: {
        n_ctx: [0, 4, "00020000"],
        n_batch: [4, 4, "00080000"],
        n_ubatch: [8, 4, "00020000"],
        n_seq_max: [12, 4, "01000000"],
        n_rs_seq: [16, 4, "00000000"],
        n_outputs_max: [20, 4, "00000000"],
        n_outputs_max_per_seq: [24, 4, "01000000"],
        n_threads: [28, 4, "04000000"],
        n_threads_batch: [32, 4, "04000000"],
        ctx_type: [36, 4, "00000000"],
        rope_scaling_type: [40, 4, "ffffffff"],
        pooling_type: [44, 4, "ffffffff"],
        attention_type: [48, 4, "ffffffff"],
        flash_attn_type: [52, 4, "ffffffff"],
        rope_freq_base: [56, 4, "00000000"],
        rope_freq_scale: [60, 4, "00000000"],
        yarn_ext_factor: [64, 4, "000080bf"],
        yarn_attn_factor: [68, 4, "000080bf"],
        yarn_beta_fast: [72, 4, "000080bf"],
        yarn_beta_slow: [76, 4, "000080bf"],
        yarn_orig_ctx: [80, 4, "00000000"],
        defrag_thold: [84, 4, "000080bf"],
        cb_eval: [88, 8, "0000000000000000"],
        cb_eval_user_data: [96, 8, "0000000000000000"],
        type_k: [104, 4, "01000000"],
        type_v: [108, 4, "01000000"],
        abort_callback: [112, 8, "0000000000000000"],
        abort_callback_data: [120, 8, "0000000000000000"],
        embeddings: [128, 1, "00"],
        offload_kqv: [129, 1, "01"],
        no_perf: [130, 1, "01"],
        op_offload: [131, 1, "01"],
        swa_full: [132, 1, "01"],
        kv_unified: [133, 1, "00"],
        samplers: [136, 8, "0000000000000000"],
        n_samplers: [144, 8, "0000000000000000"],
        ctx_other: [152, 8, "0000000000000000"],
      },
    },
  },
  "v0.4.0": {
    version: "0.4.0-dev",
    declarations: "c262586df81aa79e",
    model: {
      size: 80,
      fields: {
        devices: [0, 8, "0000000000000000"],
        tensor_buft_overrides: [8, 8, "0000000000000000"],
        n_gpu_layers: [16, 4, "ffffffff"],
        split_mode: [20, 4, "01000000"],
        load_mode: [24, 4, "ffffffff"],
        lazy_mode: [28, 4, "01000000"],
        main_gpu: [32, 4, "00000000"],
        tensor_split: [40, 8, "0000000000000000"],
        progress_callback: [48, 8, "0000000000000000"],
        progress_callback_user_data: [56, 8, "0000000000000000"],
        kv_overrides: [64, 8, "0000000000000000"],
        vocab_only: [72, 1, "00"],
        check_tensors: [73, 1, "00"],
        use_extra_bufts: [74, 1, "01"],
        no_host: [75, 1, "00"],
        no_alloc: [76, 1, "00"],
        load_mtp: [77, 1, "00"],
      },
    },
    context: {
      size: 160,
      fields: {
        n_ctx: [0, 4, "00020000"],
        n_batch: [4, 4, "00080000"],
        n_ubatch: [8, 4, "00020000"],
        n_seq_max: [12, 4, "01000000"],
        n_rs_seq: [16, 4, "00000000"],
        n_outputs_max: [20, 4, "00000000"],
        n_outputs_max_per_seq: [24, 4, "01000000"],
        n_threads: [28, 4, "04000000"],
        n_threads_batch: [32, 4, "04000000"],
        ctx_type: [36, 4, "00000000"],
        rope_scaling_type: [40, 4, "ffffffff"],
        pooling_type: [44, 4, "ffffffff"],
        attention_type: [48, 4, "ffffffff"],
        flash_attn_type: [52, 4, "ffffffff"],
        rope_freq_base: [56, 4, "00000000"],
        rope_freq_scale: [60, 4, "00000000"],
        yarn_ext_factor: [64, 4, "000080bf"],
        yarn_attn_factor: [68, 4, "000080bf"],
        yarn_beta_fast: [72, 4, "000080bf"],
        yarn_beta_slow: [76, 4, "000080bf"],
        yarn_orig_ctx: [80, 4, "00000000"],
        defrag_thold: [84, 4, "000080bf"],
        cb_eval: [88, 8, "0000000000000000"],
        cb_eval_user_data: [96, 8, "0000000000000000"],
        type_k: [104, 4, "01000000"],
        type_v: [108, 4, "01000000"],
        abort_callback: [112, 8, "0000000000000000"],
        abort_callback_data: [120, 8, "0000000000000000"],
        embeddings: [128, 1, "00"],
        offload_kqv: [129, 1, "01"],
        no_perf: [130, 1, "01"],
        op_offload: [131, 1, "01"],
        swa_full: [132, 1, "01"],
        kv_unified: [133, 1, "00"],
        samplers: [136, 8, "0000000000000000"],
        n_samplers: [144, 8, "0000000000000000"],
        ctx_other: [152, 8, "0000000000000000"],
      },
    },
  },
};
