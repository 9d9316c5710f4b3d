// A batch as JavaScript gives it, and computing it: tokens, each at its place of a sequence of a context.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "arguments.h"
#include "context_object.h"

namespace brownian {
namespace engine {

/// How decoding ended, besides llama.cpp's own numbers.
constexpr int32_t kAborted = 2, kNoNumbers = 3;

/// Tokens to be read at once, each at a place of a sequence.
struct Tokens {
  std::vector<Token> tokens;
  std::vector<int32_t> positions, sequences;
  std::vector<uint8_t> outputs;
  size_t rows = 0;

  /// Of { tokens, positions, sequences, outputs }. Throws where they do not fit each other or the context.
  Tokens(const Napi::Object& given, const LoadedContext& context)
      : tokens(ints_of(given.Get("tokens"), "tokens")),
        positions(ints_of(given.Get("positions"), "positions")),
        sequences(ints_of(given.Get("sequences"), "sequences")),
        outputs(bytes_of(given.Get("outputs"), "outputs")) {
    const Napi::Env env = given.Env();
    const Library& l = context.model->library;
    const size_t n = tokens.size();
    if (n == 0 || n > l.n_batch(context.context)) refuse(env, "a batch has 1 to " + std::to_string(l.n_batch(context.context)) + " tokens");
    if (positions.size() != n || sequences.size() != n || outputs.size() != n)
      refuse(env, "a batch needs a position, a sequence and an output of every token");
    for (size_t i = 0; i < n; i++) {
      if (!context.model->has(tokens[i])) refuse(env, "the model has no token " + std::to_string(tokens[i]));
      if (positions[i] < 0 || uint32_t(positions[i]) >= l.n_ctx(context.context)) refuse(env, "a position lies outside of the context");
      if (sequences[i] < 0 || uint32_t(sequences[i]) >= l.n_seq_max(context.context))
        refuse(env, "the context has no sequence " + std::to_string(sequences[i]));
      rows += outputs[i] != 0;
    }
  }

  /// 0; 1 where there is no room; 2 where it was aborted: then some of it may have been read; below 0 for other failures.
  int32_t decode(const LoadedContext& context) {
    const size_t n = tokens.size();
    std::vector<int32_t> one(n, 1);
    std::vector<int32_t*> ids(n);
    for (size_t i = 0; i < n; i++) ids[i] = &sequences[i];
    const Batch batch = {int32_t(n), tokens.data(), nullptr, positions.data(), one.data(), ids.data(), reinterpret_cast<int8_t*>(outputs.data())};
    const Library& l = context.model->library;
    const int32_t status = l.decode(context.context, batch);
    if (status == 0) l.synchronize(context.context);
    return status;
  }
};

}  // namespace engine
}  // namespace brownian
