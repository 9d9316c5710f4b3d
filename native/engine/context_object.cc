// Computing with a model, and reading what it expects.
#include "context_object.h"

#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "../job.h"
#include "arguments.h"
#include "batch.h"
#include "objects.h"
#include "sampler_object.h"

namespace brownian {
namespace engine {
namespace {

/// Whether logits are numbers, of which minus infinity is one, but not of all.
bool sound(const float* logits, size_t n) {
  const float infinity = std::numeric_limits<float>::infinity();
  int strange = 0, possible = 0;
  for (size_t i = 0; i < n; i++) {
    strange |= int(logits[i] != logits[i]) | int(logits[i] == infinity);
    possible |= int(logits[i] > -infinity);
  }
  return strange == 0 && possible != 0;
}

int32_t sequence_of(const Napi::Value& value, const LoadedContext& context) {
  const int32_t sequence = int_of(value, "the sequence");
  if (sequence < 0 || uint32_t(sequence) >= context.model->library.n_seq_max(context.context))
    refuse(value.Env(), "the context has no sequence " + std::to_string(sequence));
  return sequence;
}

}  // namespace

Napi::Function ContextObject::Define(Napi::Env env) {
  return DefineClass(
      env, "EngineContext",
      {InstanceMethod<&ContextObject::Facts>("facts"), InstanceMethod<&ContextObject::Decode>("decode"), InstanceMethod<&ContextObject::Read>("read"),
       InstanceMethod<&ContextObject::Embed>("embed"), InstanceMethod<&ContextObject::Logits>("logits"),
       InstanceMethod<&ContextObject::Clear>("clear"), InstanceMethod<&ContextObject::Remove>("remove"), InstanceMethod<&ContextObject::Copy>("copy"),
       InstanceMethod<&ContextObject::Length>("length"), InstanceMethod<&ContextObject::Save>("save"),
       InstanceMethod<&ContextObject::Restore>("restore"), InstanceMethod<&ContextObject::Adapt>("adapt"),
       InstanceMethod<&ContextObject::Threads>("threads"), InstanceMethod<&ContextObject::Free>("free")});
}

ContextObject::ContextObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ContextObject>(info), loaded_(handed<LoadedContext>(info)) {}

Napi::Value ContextObject::Make(Napi::Env env, std::shared_ptr<LoadedContext> loaded) {
  return made(Constructors::Of(env).context, env, std::move(loaded));
}

const std::shared_ptr<LoadedContext>& ContextObject::Open(const Napi::CallbackInfo& info) const {
  if (!loaded_) throw Napi::Error::New(info.Env(), "the context was freed");
  return loaded_;
}

Napi::Value ContextObject::Facts(const Napi::CallbackInfo& info) {
  const LoadedContext& c = *Open(info);
  auto facts = Napi::Object::New(info.Env());
  facts.Set("length", double(c.model->library.n_ctx(c.context)));
  facts.Set("batch", double(c.model->library.n_batch(c.context)));
  facts.Set("microBatch", double(c.model->library.n_ubatch(c.context)));
  facts.Set("sequences", double(c.model->library.n_seq_max(c.context)));
  return facts;
}

/// ({ tokens, positions, sequences, outputs, samplers?, unchecked? }): a promise of { status, tokens }: of every output, what its sampler (or null)
/// chose, or -1. Logits that are no numbers are a failure unless `unchecked`.
Napi::Value ContextObject::Decode(const Napi::CallbackInfo& info) {
  const auto context = Open(info);
  const auto given = object_of(info[0], "the batch");
  const auto batch = std::make_shared<Tokens>(given, *context);
  const auto chains = std::make_shared<std::vector<std::shared_ptr<Chain>>>(batch->rows);
  if (const Napi::Value samplers = given.Get("samplers"); !samplers.IsUndefined()) {
    if (!samplers.IsArray() || samplers.As<Napi::Array>().Length() != batch->rows)
      refuse(info.Env(), "a sampler, or null, of every output is needed");
    for (size_t i = 0; i < batch->rows; i++) {
      const Napi::Value sampler = samplers.As<Napi::Array>().Get(uint32_t(i));
      if (!sampler.IsNull()) (*chains)[i] = SamplerObject::Of(sampler);
    }
  }
  const bool checked = !given.Get("unchecked").ToBoolean();
  const auto result = std::make_shared<std::pair<int32_t, std::vector<Token>>>(0, std::vector<Token>(batch->rows, -1));
  return Job::start(
      info.Env(),
      [=] {
        result->first = batch->decode(*context);
        const Library& l = context->model->library;
        for (size_t i = 0, row = 0; result->first == 0 && i < batch->tokens.size(); i++) {
          if (batch->outputs[i] == 0) continue;
          const float* logits = l.get_logits_ith(context->context, int32_t(i));
          if (logits == nullptr) throw std::runtime_error("the engine has no logits of an output that it was asked for");
          if (checked && !sound(logits, size_t(context->model->tokens))) {
            result->first = kNoNumbers;
            break;
          }
          const auto& chain = (*chains)[row];
          if (chain) result->second[row] = chain->choose(context->context, int32_t(i));
          row++;
        }
        return 0.0;
      },
      [=](Napi::Env env) {
        auto out = Napi::Object::New(env);
        auto tokens = Napi::Int32Array::New(env, result->second.size());
        if (!result->second.empty()) memcpy(tokens.Data(), result->second.data(), result->second.size() * sizeof(Token));
        out.Set("status", result->first);
        out.Set("tokens", tokens);
        return out;
      });
}

/// (number of the token in the last batch, or -1 for its last output; Float32Array of the vocabulary's length)
Napi::Value ContextObject::Logits(const Napi::CallbackInfo& info) {
  const LoadedContext& c = *Open(info);
  const int32_t i = int_of(info[0], "the number of the token");
  if (!info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
    refuse(info.Env(), "the logits' array is no Float32Array");
  auto out = info[1].As<Napi::Float32Array>();
  if (out.ElementLength() != size_t(c.model->tokens)) refuse(info.Env(), "the logits' array is not as long as the vocabulary");
  const float* logits = c.model->library.get_logits_ith(c.context, i);
  if (logits == nullptr) throw Napi::Error::New(info.Env(), "there are no logits of that token");
  memcpy(out.Data(), logits, size_t(c.model->tokens) * sizeof(float));
  return out;
}

/// Forgets all sequences.
void ContextObject::Clear(const Napi::CallbackInfo& info) {
  const LoadedContext& c = *Open(info);
  c.model->library.memory_clear(c.memory, true);
}

/// (sequence, first position, position after the last, or -1): whether it could be done.
Napi::Value ContextObject::Remove(const Napi::CallbackInfo& info) {
  const LoadedContext& c = *Open(info);
  const int32_t sequence = sequence_of(info[0], c), from = int_of(info[1], "the first position"), to = int_of(info[2], "the last position");
  return Napi::Boolean::New(info.Env(), c.model->library.memory_seq_rm(c.memory, sequence, from, to));
}

/// (sequence, to sequence, 0, -1): all of it. Of a part llama.cpp makes no copy where each sequence has room of its own: it ends the process.
void ContextObject::Copy(const Napi::CallbackInfo& info) {
  const LoadedContext& c = *Open(info);
  const int32_t from = sequence_of(info[0], c), to = sequence_of(info[1], c);
  const int32_t first = int_of(info[2], "the first position"), last = int_of(info[3], "the last position");
  if (first != 0 || last != -1) refuse(info.Env(), "a sequence is copied from 0 to -1, which is all of it");
  c.model->library.memory_seq_cp(c.memory, from, to, first, last);
}

/// (sequence): how many tokens it has.
Napi::Value ContextObject::Length(const Napi::CallbackInfo& info) {
  const LoadedContext& c = *Open(info);
  return Napi::Number::New(info.Env(), double(c.model->library.memory_seq_pos_max(c.memory, sequence_of(info[0], c))) + 1);
}

/// (sequence): a promise of its state, a Uint8Array.
Napi::Value ContextObject::Save(const Napi::CallbackInfo& info) {
  const auto context = Open(info);
  const int32_t sequence = sequence_of(info[0], *context);
  const auto bytes = std::make_shared<std::vector<uint8_t>>();
  return Job::start(
      info.Env(),
      [=] {
        const Library& l = context->model->library;
        bytes->resize(l.state_seq_get_size(context->context, sequence));
        bytes->resize(l.state_seq_get_data(context->context, bytes->data(), bytes->size(), sequence));
        return 0.0;
      },
      [=](Napi::Env env) {
        auto out = Napi::Uint8Array::New(env, bytes->size());
        if (!bytes->empty()) memcpy(out.Data(), bytes->data(), bytes->size());
        return out;
      });
}

/// (sequence, Uint8Array): a promise of whether that was a state of this model and context.
Napi::Value ContextObject::Restore(const Napi::CallbackInfo& info) {
  const auto context = Open(info);
  const int32_t sequence = sequence_of(info[0], *context);
  const auto bytes = std::make_shared<std::vector<uint8_t>>(bytes_of(info[1], "the state"));
  const auto done = std::make_shared<bool>(false);
  return Job::start(
      info.Env(),
      [=] {
        *done = context->model->library.state_seq_set_data(context->context, bytes->data(), bytes->size(), sequence) != 0;
        return 0.0;
      },
      [=](Napi::Env env) { return Napi::Boolean::New(env, *done); });
}

/// ([adapters], Float32Array of scales): those that are added from now on, instead of all others.
Napi::Value ContextObject::Adapt(const Napi::CallbackInfo& info) {
  const LoadedContext& c = *Open(info);
  if (!info[0].IsArray()) refuse(info.Env(), "the adapters are no list");
  const auto list = info[0].As<Napi::Array>();
  auto scales = floats_of(info[1], "the scales");
  std::vector<std::shared_ptr<LoadedAdapter>> adapters;
  std::vector<Adapter*> pointers;
  for (uint32_t i = 0; i < list.Length(); i++) {
    adapters.push_back(AdapterObject::Of(list.Get(i)));
    if (adapters.back()->model != c.model) refuse(info.Env(), "the adapter is another model's");
    pointers.push_back(adapters.back()->adapter);
  }
  if (scales.size() != pointers.size()) refuse(info.Env(), "a scale of every adapter is needed");
  const int32_t status = c.model->library.set_adapters_lora(c.context, pointers.data(), pointers.size(), scales.data());
  if (status == 0) adapters_ = std::move(adapters);
  return Napi::Number::New(info.Env(), status);
}

/// (threads for one token at a time, threads for many)
void ContextObject::Threads(const Napi::CallbackInfo& info) {
  const LoadedContext& c = *Open(info);
  const int32_t few = int_of(info[0], "threads"), many = int_of(info[1], "threads");
  if (few < 1 || many < 1 || few > 1024 || many > 1024) refuse(info.Env(), "threads are 1 to 1024");
  c.model->library.set_n_threads(c.context, few, many);
}

void ContextObject::Free(const Napi::CallbackInfo&) {
  loaded_.reset();
  adapters_.clear();
}

Napi::Function AdapterObject::Define(Napi::Env env) { return DefineClass(env, "EngineAdapter", {InstanceMethod<&AdapterObject::Free>("free")}); }
AdapterObject::AdapterObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<AdapterObject>(info), loaded_(handed<LoadedAdapter>(info)) {}
Napi::Value AdapterObject::Make(Napi::Env env, std::shared_ptr<LoadedAdapter> loaded) {
  return made(Constructors::Of(env).adapter, env, std::move(loaded));
}
std::shared_ptr<LoadedAdapter> AdapterObject::Of(const Napi::Value& value) {
  const auto loaded = of_ours<AdapterObject>(value, Constructors::Of(value.Env()).adapter, "the adapter")->loaded_;
  if (!loaded) throw Napi::Error::New(value.Env(), "the adapter was freed");
  return loaded;
}

}  // namespace engine
}  // namespace brownian
