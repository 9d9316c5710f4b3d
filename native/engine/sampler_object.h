// A chain of llama.cpp's samplers: what chooses the next token of a text, given the logits.
#pragma once
#include <napi.h>

#include <memory>

#include "model_object.h"

namespace brownian {
namespace engine {

struct Chain {
  const std::shared_ptr<LoadedModel> model;
  Sampler* const chain;
  Chain(std::shared_ptr<LoadedModel> model, Sampler* chain) : model(std::move(model)), chain(chain) {}
  ~Chain() { model->library.sampler_free(chain); }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
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
  void Reset(const Napi::CallbackInfo& info);
  void Free(const Napi::CallbackInfo&) { chain_.reset(); }
  std::shared_ptr<Chain> chain_;
};

}  // namespace engine
}  // namespace brownian
