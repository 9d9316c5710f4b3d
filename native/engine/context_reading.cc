// What is read of a batch besides its logits: numbers of every row for those who compare, and the sum of what the last layer made.
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "../dispatch.h"
#include "../job.h"
#include "batch.h"

namespace brownian {
namespace engine {
namespace {

/// The kernels for this processor.
const Target& best_target() {
  for (const Candidate& candidate : candidates()) {
    if (candidate.target != nullptr) return *candidate.target;
  }
  throw std::logic_error("the last candidate always runs");
}

/// An array of floats, a row of logits long for every output, that a job works on: it must be left alone until the job is done.
struct Rows {
  float* data = nullptr;
  std::shared_ptr<Napi::ObjectReference> held;

  Rows(const Napi::Object& given, const char* name, size_t length) {
    const Napi::Value value = given.Get(name);
    if (value.IsUndefined()) return;
    const std::string called = name;
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float32_array)
      refuse(given.Env(), called + " is no Float32Array");
    auto array = value.As<Napi::Float32Array>();
    if (array.ElementLength() != length) refuse(given.Env(), called + " has not a number of every token and output");
    data = array.Data();
    held = std::make_shared<Napi::ObjectReference>(Napi::Persistent(value.As<Napi::Object>()));
  }
  float* row(size_t number, size_t vocabulary) const { return data == nullptr ? nullptr : data + number * vocabulary; }
};

}  // namespace

/**
 * ({ tokens, positions, sequences, outputs, targets, betas, reference?, keep?, sums? }): a promise of { status, rows, largest }: of every output in
 * turn the numbers of src/laws/logits.ts, and its likeliest token. Each of the last three is a Float32Array of a row of logits for every output: what
 * these are compared with, where they are kept, what their probabilities are added to. Nobody else may touch them until the promise is settled.
 */
Napi::Value ContextObject::Read(const Napi::CallbackInfo& info) {
  const auto context = Open(info);
  const auto given = object_of(info[0], "the batch");
  const auto batch = std::make_shared<Tokens>(given, *context);
  const auto targets = std::make_shared<std::vector<int32_t>>(ints_of(given.Get("targets"), "targets"));
  const auto betas = std::make_shared<std::vector<float>>(floats_of(given.Get("betas"), "betas"));
  if (targets->size() != batch->rows) refuse(info.Env(), "a target of every output is needed");
  const size_t vocabulary = size_t(context->model->tokens);
  for (const int32_t target : *targets) {
    if (target >= int32_t(vocabulary)) refuse(info.Env(), "the model has no token " + std::to_string(target));
  }
  const size_t length = batch->rows * vocabulary;
  const Rows reference(given, "reference", length), keep(given, "keep", length), sums(given, "sums", length);
  struct Result {
    int32_t status = 0;
    std::vector<double> rows;
    std::vector<int32_t> largest;
  };
  const auto result = std::make_shared<Result>();
  return Job::start(
      info.Env(),
      [=] {
        result->status = batch->decode(*context);
        if (result->status != 0) return 0.0;
        const Target& target = best_target();
        const size_t width = kLogitHead + betas->size();
        result->rows.resize(batch->rows * width);
        result->largest.resize(batch->rows);
        for (size_t i = 0, row = 0; i < batch->tokens.size(); i++) {
          if (batch->outputs[i] == 0) continue;
          if (context->flag->load()) {
            result->status = kAborted;
            return 0.0;
          }
          const float* logits = context->model->library.get_logits_ith(context->context, int32_t(i));
          if (logits == nullptr) throw std::runtime_error("the engine has no logits of an output that it was asked for");
          double* const out = &result->rows[row * width];
          result->largest[row] =
              target.read_logits(logits, vocabulary, {(*targets)[row], betas->data(), betas->size(), reference.row(row, vocabulary)}, out);
          if (result->largest[row] < 0) {
            result->status = kNoNumbers;
            return 0.0;
          }
          if (keep.data != nullptr) memcpy(keep.row(row, vocabulary), logits, vocabulary * sizeof(float));
          if (sums.data != nullptr) target.add_probabilities(logits, vocabulary, out, sums.row(row, vocabulary));
          row++;
        }
        return 0.0;
      },
      [=](Napi::Env env) {
        auto out = Napi::Object::New(env);
        out.Set("status", result->status);
        auto rows = Napi::Float64Array::New(env, result->rows.size());
        auto largest = Napi::Int32Array::New(env, result->largest.size());
        if (!result->rows.empty()) memcpy(rows.Data(), result->rows.data(), result->rows.size() * sizeof(double));
        if (!result->largest.empty()) memcpy(largest.Data(), result->largest.data(), result->largest.size() * sizeof(int32_t));
        out.Set("rows", rows);
        out.Set("largest", largest);
        return out;
      });
}

/// ({ tokens, positions, sequences, outputs }): a promise of { status, sum }: what the last layer made of the tokens with an output, added up.
Napi::Value ContextObject::Embed(const Napi::CallbackInfo& info) {
  const auto context = Open(info);
  const auto batch = std::make_shared<Tokens>(object_of(info[0], "the batch"), *context);
  const size_t width = size_t(context->model->library.model_n_embd_out(context->model->model));
  struct Result {
    int32_t status = 0;
    std::vector<double> sum;
  };
  const auto result = std::make_shared<Result>();
  return Job::start(
      info.Env(),
      [=] {
        const Library& l = context->model->library;
        // Only meanwhile: where they are wanted, there are logits of every token.
        l.set_embeddings(context->context, true);
        result->status = batch->decode(*context);
        result->sum.assign(width, 0.0);
        for (size_t i = 0; result->status == 0 && i < batch->tokens.size(); i++) {
          if (batch->outputs[i] == 0) continue;
          const float* row = l.get_embeddings_ith(context->context, int32_t(i));
          if (row == nullptr) {
            l.set_embeddings(context->context, false);
            throw std::runtime_error("the engine has no embedding of a token that it was asked for");
          }
          for (size_t j = 0; j < width; j++) {
            if (!std::isfinite(row[j])) result->status = kNoNumbers;
            result->sum[j] += row[j];
          }
        }
        l.set_embeddings(context->context, false);
        return 0.0;
      },
      [=](Napi::Env env) {
        auto out = Napi::Object::New(env);
        auto sum = Napi::Float64Array::New(env, result->sum.size());
        if (!result->sum.empty()) memcpy(sum.Data(), result->sum.data(), result->sum.size() * sizeof(double));
        out.Set("status", result->status);
        out.Set("sum", sum);
        return out;
      });
}

}  // namespace engine
}  // namespace brownian
