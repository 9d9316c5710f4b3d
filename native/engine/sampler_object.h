// A chain of llama.cpp's samplers: what chooses the next token of a text, given the logits.
#pragma once
#include <napi.h>

#include <memory>
#include <vector>

#include "model_object.h"

namespace brownian {
namespace engine {

/// A token, and what it is sorted by.
struct SortKey {
  uint32_t key;
  Token token;
};

/// Samplers, applied one after the other, and a grammar beside them: it is not told of the prompt, and it is asked of the token that the others
/// choose before it is asked of the whole vocabulary, which takes much longer.
struct Chain {
  const std::shared_ptr<LoadedModel> model;
  Sampler* const chain;
  /// Samplers in the chain.
  int32_t count = 0;
  /// Null where there is none.
  Sampler* grammar = nullptr;
  /// Whether it is one sampler that takes the likeliest; and whether the first one does no more than sort all tokens.
  bool greedy = false, sorts = false;
  Chain(std::shared_ptr<LoadedModel> model, Sampler* chain) : model(std::move(model)), chain(chain) {}
  ~Chain();
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  /// The token chosen at an output of the last batch, which all samplers are told of; -1 where the grammar allows none, and then none is told.
  Token choose(Context* context, int32_t output);

 private:
  TokenDataArray candidates(Context* context, int32_t output);
  TokenDataArray sorted(Context* context, int32_t output);
  const float* logits(Context* context, int32_t output) const;
  std::vector<TokenData> all_;
  std::vector<SortKey> keys_, turned_;
};

class SamplerObject : public Napi::ObjectWrap<SamplerObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit SamplerObject(const Napi::CallbackInfo& info);
  /// Of a list of [name, arguments ...], in the order in which they are applied. Throws for names and arguments that are none.
  static Napi::Value Make(Napi::Env env, const std::shared_ptr<LoadedModel>& model, const Napi::Value& list);
  static std::shared_ptr<Chain> Of(const Napi::Value& value);

 private:
  void Accept(const Napi::CallbackInfo& info);
  void Replace(const Napi::CallbackInfo& info);
  void Reset(const Napi::CallbackInfo& info);
  void Free(const Napi::CallbackInfo&) { chain_.reset(); }
  std::shared_ptr<Chain> chain_;
};

}  // namespace engine
}  // namespace brownian
