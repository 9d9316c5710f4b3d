// A context: sequences of tokens that the engine has read, and what it expects next. One piece of work at a time; whoever calls sees to that.
#pragma once
#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "model_object.h"

namespace brownian {
namespace engine {

/// Freed when the last job that uses it is done.
struct LoadedContext {
  const std::shared_ptr<LoadedModel> model;
  const Flag flag;
  Context* const context;
  Memory* const memory;

  LoadedContext(std::shared_ptr<LoadedModel> model, Flag flag, Context* context)
      : model(std::move(model)), flag(std::move(flag)), context(context), memory(this->model->library.get_memory(context)) {}
  ~LoadedContext() { model->library.free(context); }
  LoadedContext(const LoadedContext&) = delete;
  LoadedContext& operator=(const LoadedContext&) = delete;
};

/// Low-rank additions to a model's weights; freed before the model is.
struct LoadedAdapter {
  const std::shared_ptr<LoadedModel> model;
  Adapter* const adapter;
  LoadedAdapter(std::shared_ptr<LoadedModel> model, Adapter* adapter) : model(std::move(model)), adapter(adapter) {}
  ~LoadedAdapter() { model->library.adapter_lora_free(adapter); }
  LoadedAdapter(const LoadedAdapter&) = delete;
  LoadedAdapter& operator=(const LoadedAdapter&) = delete;
};

class ContextObject : public Napi::ObjectWrap<ContextObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  /// Called with an External of LoadedContext, by Make alone.
  explicit ContextObject(const Napi::CallbackInfo& info);
  static Napi::Value Make(Napi::Env env, std::shared_ptr<LoadedContext> loaded);

 private:
  Napi::Value Facts(const Napi::CallbackInfo& info);
  Napi::Value Decode(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Embed(const Napi::CallbackInfo& info);
  Napi::Value Logits(const Napi::CallbackInfo& info);
  void Clear(const Napi::CallbackInfo& info);
  Napi::Value Remove(const Napi::CallbackInfo& info);
  void Copy(const Napi::CallbackInfo& info);
  Napi::Value Length(const Napi::CallbackInfo& info);
  Napi::Value Save(const Napi::CallbackInfo& info);
  Napi::Value Restore(const Napi::CallbackInfo& info);
  Napi::Value Adapt(const Napi::CallbackInfo& info);
  void Threads(const Napi::CallbackInfo& info);
  void Free(const Napi::CallbackInfo&);

  const std::shared_ptr<LoadedContext>& Open(const Napi::CallbackInfo& info) const;
  std::shared_ptr<LoadedContext> loaded_;
  /// In use: what is set in the context must live as long.
  std::vector<std::shared_ptr<LoadedAdapter>> adapters_;
};

class AdapterObject : public Napi::ObjectWrap<AdapterObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit AdapterObject(const Napi::CallbackInfo& info);
  static Napi::Value Make(Napi::Env env, std::shared_ptr<LoadedAdapter> loaded);
  static std::shared_ptr<LoadedAdapter> Of(const Napi::Value& value);

 private:
  void Free(const Napi::CallbackInfo&) { loaded_.reset(); }
  std::shared_ptr<LoadedAdapter> loaded_;
};

}  // namespace engine
}  // namespace brownian
