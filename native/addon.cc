// The addon as Node loads it: what it exports, and nothing else. Its calls come from src/kernels/native.ts and native-file.ts.
#include <napi.h>

#include "arguments.h"
#include "buffers.h"
#include "census.h"
#include "dispatch.h"
#include "engine/model_object.h"
#include "law_table.h"
#include "mapped_file_object.h"

namespace brownian {
namespace {

/// [{ name, runs, reason }], best first.
Napi::Value targets(const Napi::CallbackInfo& info) {
  const auto& all = candidates();
  auto list = Napi::Array::New(info.Env(), all.size());
  for (size_t i = 0; i < all.size(); i++) {
    auto entry = Napi::Object::New(info.Env());
    entry.Set("name", all[i].name);
    entry.Set("runs", all[i].target != nullptr);
    entry.Set("reason", all[i].reason);
    list.Set(uint32_t(i), entry);
  }
  return list;
}

/// (Float32Array, Uint32Array, Int8Array): the tables of src/laws/tables.ts, and that of alias.ts.
void set_tables(const Napi::CallbackInfo& info) {
  const auto tails = elements<float>(argument(info, 0, "tails"));
  const auto hits = elements<uint32_t>(argument(info, 1, "hits"));
  const auto alias = elements<int8_t>(argument(info, 2, "alias"));
  bool sound = tails.length == kTails && hits.length == kHits && alias.length == kAlias;
  for (size_t i = 0; sound && i < kTails; i++) sound = tails.data[i] >= 0.0f && tails.data[i] <= 32768.0f;
  if (!sound) refuse(info.Env(), "not the tables of the law");
  set_law(tails.data, hits.data, alias.data);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("targets", Napi::Function::New<targets>(env, "targets"));
  exports.Set("setLaw", Napi::Function::New<set_tables>(env, "setLaw"));
  export_buffers(env, exports);
  export_census(env, exports);
  export_mapped_file(env, exports);
  engine::define(env, exports);
  return exports;
}

NODE_API_MODULE(brownian, init)

}  // namespace
}  // namespace brownian
