// llama.cpp's C API, taken from a shared library at run time: whoever brings the library (an npm package with prebuilt ones) is not linked against.
// Structures that belong to a release cross as plain bytes, laid out by src/engine/llama-c/releases.ts; what is declared here has been the same in
// every release of that table.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace brownian {
namespace engine {

/// Room for a structure of parameters of any release. By value it goes in memory in every calling convention, so that one which is too long does
/// no harm.
struct alignas(16) Parameters {
  uint8_t bytes[512];
};

using Token = int32_t;
using Model = void;
using Context = void;
using Vocabulary = void;
using Memory = void;
using Sampler = void;
using Adapter = void;
using Log = void (*)(int level, const char* text, void* user);

struct Batch {
  int32_t n_tokens;
  Token* token;
  float* embd;
  int32_t* pos;
  int32_t* n_seq_id;
  int32_t** seq_id;
  int8_t* logits;
};

struct LogitBias {
  Token token;
  float bias;
};

struct TokenData {
  Token id;
  float logit;
  float p;
};

/// What samplers change: they may put another array in its place, and drop tokens from it.
struct TokenDataArray {
  TokenData* data;
  size_t size;
  int64_t selected;
  bool sorted;
};

struct ChainParameters {
  bool no_perf;
};

/// Every function that is used: (its name without llama_, result, arguments).
#define BROWNIAN_ENGINE_FUNCTIONS(F)                                                                       \
  F(version, const char*, ())                                                                              \
  F(backend_init, void, ())                                                                                \
  F(log_set, void, (Log, void*))                                                                           \
  F(model_default_params, Parameters, ())                                                                  \
  F(context_default_params, Parameters, ())                                                                \
  F(model_load_from_file, Model*, (const char*, Parameters))                                               \
  F(model_free, void, (Model*))                                                                            \
  F(model_get_vocab, const Vocabulary*, (const Model*))                                                    \
  F(model_n_ctx_train, int32_t, (const Model*))                                                            \
  F(model_n_embd, int32_t, (const Model*))                                                                 \
  F(model_n_embd_out, int32_t, (const Model*))                                                             \
  F(model_n_layer, int32_t, (const Model*))                                                                \
  F(model_n_params, uint64_t, (const Model*))                                                              \
  F(model_size, uint64_t, (const Model*))                                                                  \
  F(model_desc, int32_t, (const Model*, char*, size_t))                                                    \
  F(model_chat_template, const char*, (const Model*, const char*))                                         \
  F(model_is_recurrent, bool, (const Model*))                                                              \
  F(model_is_hybrid, bool, (const Model*))                                                                 \
  F(model_has_encoder, bool, (const Model*))                                                               \
  F(model_has_decoder, bool, (const Model*))                                                               \
  F(init_from_model, Context*, (Model*, Parameters))                                                       \
  F(free, void, (Context*))                                                                                \
  F(n_ctx, uint32_t, (const Context*))                                                                     \
  F(n_batch, uint32_t, (const Context*))                                                                   \
  F(n_ubatch, uint32_t, (const Context*))                                                                  \
  F(n_seq_max, uint32_t, (const Context*))                                                                 \
  F(set_n_threads, void, (Context*, int32_t, int32_t))                                                     \
  F(get_memory, Memory*, (const Context*))                                                                 \
  F(memory_clear, void, (Memory*, bool))                                                                   \
  F(memory_seq_rm, bool, (Memory*, int32_t, int32_t, int32_t))                                             \
  F(memory_seq_cp, void, (Memory*, int32_t, int32_t, int32_t, int32_t))                                    \
  F(memory_seq_keep, void, (Memory*, int32_t))                                                             \
  F(memory_seq_pos_max, int32_t, (Memory*, int32_t))                                                       \
  F(state_seq_get_size, size_t, (Context*, int32_t))                                                       \
  F(state_seq_get_data, size_t, (Context*, uint8_t*, size_t, int32_t))                                     \
  F(state_seq_set_data, size_t, (Context*, const uint8_t*, size_t, int32_t))                               \
  F(decode, int32_t, (Context*, Batch))                                                                    \
  F(synchronize, void, (Context*))                                                                         \
  F(get_logits_ith, float*, (Context*, int32_t))                                                           \
  F(set_embeddings, void, (Context*, bool))                                                                \
  F(get_embeddings_ith, float*, (Context*, int32_t))                                                       \
  F(vocab_n_tokens, int32_t, (const Vocabulary*))                                                          \
  F(vocab_bos, Token, (const Vocabulary*))                                                                 \
  F(vocab_eos, Token, (const Vocabulary*))                                                                 \
  F(vocab_eot, Token, (const Vocabulary*))                                                                 \
  F(vocab_nl, Token, (const Vocabulary*))                                                                  \
  F(vocab_type, int, (const Vocabulary*))                                                                  \
  F(vocab_get_add_bos, bool, (const Vocabulary*))                                                          \
  F(vocab_get_text, const char*, (const Vocabulary*, Token))                                               \
  F(vocab_is_eog, bool, (const Vocabulary*, Token))                                                        \
  F(vocab_is_control, bool, (const Vocabulary*, Token))                                                    \
  F(tokenize, int32_t, (const Vocabulary*, const char*, int32_t, Token*, int32_t, bool, bool))             \
  F(detokenize, int32_t, (const Vocabulary*, const Token*, int32_t, char*, int32_t, bool, bool))           \
  F(adapter_lora_init, Adapter*, (Model*, const char*))                                                    \
  F(adapter_lora_free, void, (Adapter*))                                                                   \
  F(set_adapters_lora, int32_t, (Context*, Adapter**, size_t, float*))                                     \
  F(sampler_chain_init, Sampler*, (ChainParameters))                                                       \
  F(sampler_chain_add, void, (Sampler*, Sampler*))                                                         \
  F(sampler_chain_remove, Sampler*, (Sampler*, int32_t))                                                   \
  F(sampler_accept, void, (Sampler*, Token))                                                               \
  F(sampler_apply, void, (Sampler*, TokenDataArray*))                                                      \
  F(sampler_reset, void, (Sampler*))                                                                       \
  F(sampler_free, void, (Sampler*))                                                                        \
  F(sampler_init_greedy, Sampler*, ())                                                                     \
  F(sampler_init_dist, Sampler*, (uint32_t))                                                               \
  F(sampler_init_top_k, Sampler*, (int32_t))                                                               \
  F(sampler_init_top_p, Sampler*, (float, size_t))                                                         \
  F(sampler_init_min_p, Sampler*, (float, size_t))                                                         \
  F(sampler_init_typical, Sampler*, (float, size_t))                                                       \
  F(sampler_init_temp, Sampler*, (float))                                                                  \
  F(sampler_init_temp_ext, Sampler*, (float, float, float))                                                \
  F(sampler_init_xtc, Sampler*, (float, float, size_t, uint32_t))                                          \
  F(sampler_init_top_n_sigma, Sampler*, (float))                                                           \
  F(sampler_init_mirostat, Sampler*, (int32_t, uint32_t, float, float, int32_t))                           \
  F(sampler_init_mirostat_v2, Sampler*, (uint32_t, float, float))                                          \
  F(sampler_init_grammar, Sampler*, (const Vocabulary*, const char*, const char*))                         \
  F(sampler_init_penalties, Sampler*, (int32_t, int32_t, float, float, float))                             \
  F(sampler_init_dry, Sampler*, (const Vocabulary*, float, float, int32_t, int32_t, const char**, size_t)) \
  F(sampler_init_logit_bias, Sampler*, (int32_t, int32_t, const LogitBias*))

/// Where the library's parts lie.
struct Paths {
  /// ggml's base and its registry, which llama.cpp needs; loaded first, in this order, where they are given.
  std::string base, ggml;
  std::string llama;
  /// The folder of the processors' backends.
  std::string backends;
};

/// The library, kept loaded for as long as the process lives: threads of its own may be in it.
struct Library {
#define BROWNIAN_DECLARE(name, result, arguments) result(*name) arguments = nullptr;
  BROWNIAN_ENGINE_FUNCTIONS(BROWNIAN_DECLARE)
#undef BROWNIAN_DECLARE

  /// Throws std::runtime_error with what is missing. One a set of paths: asked for again, it is the same.
  static const Library& Open(const Paths& paths);

  /// Loads one more backend from this file, or none where it is empty; whether there is anything but processors that layers can go to. Throws
  /// std::runtime_error where the file is no backend of this release.
  bool OffloadsWith(const std::string& backend) const;

  /// Takes down what is said from now on: whoever else has the library may have asked for that too.
  void listen() const;

  /// What it has said since it was asked last, at level warning or above, a line each; the oldest are dropped where nobody asks.
  static std::string Complaints();

 private:
  explicit Library(const Paths& paths);

  void* (*load_backend_)(const char*) = nullptr;
  bool (*supports_offload_)() = nullptr;
};

}  // namespace engine
}  // namespace brownian
