// The calls on bytes in memory: noise, moves, evolutions, sums, differences. Each checks what it is given before a kernel sees it.
#include "buffers.h"

#include <memory>

#include "arguments.h"
#include "job.h"
#include "ranges.h"

namespace brownian {
namespace {

/// (target, out, place): the place is [k0, k1, blockLo, blockHi, skip, tick, purpose].
template <class T, void (*Target::*Fill)(T*, size_t, Key, Position)>
void fill(const Napi::CallbackInfo& info) {
  const Target& target = target_of(argument(info, 0, "target"));
  const Given at = argument(info, 2, "place");
  const Elements<T> out = elements<T>(argument(info, 1, "out"));
  const Elements<uint32_t> place = elements<uint32_t>(at);
  if (place.length != 7 || place.data[4] > 3) at.refuse("is no place in a stream");
  const uint32_t* const p = place.data;
  (target.*Fill)(out.data, out.length, {p[0], p[1]}, {uint64_t(p[3]) << 32 | p[2], p[4], p[5], p[6]});
}

/// The tables that moves need.
const LawTable& law_of(const Napi::CallbackInfo& info) {
  const LawTable* law = law_table();
  if (law == nullptr) refuse(info.Env(), "the tables of the law are not set");
  return *law;
}

/// (target, data, move): how many codes changed.
Napi::Value perturb(const Napi::CallbackInfo& info) {
  const Target& target = target_of(argument(info, 0, "target"));
  const LawTable& law = law_of(info);
  const GivenMove move(argument(info, 2, "move"));
  const auto data = elements<uint8_t>(argument(info, 1, "data"));
  move.check(data.length);
  return Napi::Number::New(info.Env(), double(target.perturb(data.data, data.length, move.move, law)));
}

/// (target, threads, data, move): the same, on threads, of shared memory: other memory JavaScript may take away while they work on it.
Napi::Value perturb_async(const Napi::CallbackInfo& info) {
  const Workers workers = {&target_of(argument(info, 0, "target")), threads_of(argument(info, 1, "threads"))};
  law_of(info);
  const GivenMove move(argument(info, 3, "move"));
  const Given given = argument(info, 2, "data");
  const auto data = elements<uint8_t>(given);
  if (info[2].As<Napi::TypedArray>().ArrayBuffer().IsArrayBuffer()) given.refuse("is not in shared memory");
  move.check(data.length);
  const auto owned = std::make_shared<OwnedMove>(move);
  // Keeps the memory. The job, which owns the reference, is destroyed on this thread.
  const auto held = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info[2].As<Napi::Object>()));
  return Job::start(info.Env(), [=] {
    (void)held;
    return perturb_range(workers, data.data, nullptr, data.length, owned->move);
  });
}

/// (target, evolution, live, pristine, parameters, move): how many codes of `live` changed.
Napi::Value evolve(const Napi::CallbackInfo& info) {
  const Target& target = target_of(argument(info, 0, "target"));
  const LawTable& law = law_of(info);
  const GivenMove move(argument(info, 5, "move"));
  const auto live = elements<uint8_t>(argument(info, 2, "live")), pristine = elements<uint8_t>(argument(info, 3, "pristine"));
  if (live.length != pristine.length) refuse(info.Env(), "pristine is not as long as live");
  move.check(live.length);
  const auto parameters = elements<float>(argument(info, 4, "parameters"));
  const Evolution& evolution = evolution_of(target, argument(info, 1, "evolution"), parameters, move.format);
  return Napi::Number::New(info.Env(), double(evolution.step(live.data, pristine.data, live.length, move.move, parameters.data, law)));
}

/// (target, data, format, rows, index, total): total plus the sum of the squares.
Napi::Value sum_squares(const Napi::CallbackInfo& info) {
  const Target& target = target_of(argument(info, 0, "target"));
  const Given given = argument(info, 1, "data");
  const Format format = format_of(argument(info, 2, "format"));
  const GivenRows rows(argument(info, 3, "rows"), format);
  const uint64_t index = argument(info, 4, "index").whole();
  const double total = argument(info, 5, "total").any_number();
  const auto data = elements<uint8_t>(given);
  check_blocks(given, format, data.length);
  rows.check(index + format.weights(data.length));
  return Napi::Number::New(info.Env(), target.sum_squares(data.data, data.length, format.fields, rows.steps, rows.row_length, index, total));
}

/// (target, a, b, format): how many codes differ.
Napi::Value difference(const Napi::CallbackInfo& info) {
  const Target& target = target_of(argument(info, 0, "target"));
  const Given given = argument(info, 1, "a");
  const auto a = elements<uint8_t>(given), b = elements<uint8_t>(argument(info, 2, "b"));
  const Format format = format_of(argument(info, 3, "format"));
  if (a.length != b.length) refuse(info.Env(), "a and b are not of one length");
  check_blocks(given, format, a.length);
  return Napi::Number::New(info.Env(), double(target.difference(a.data, b.data, a.length, format.fields)));
}

/// (target, logits, { target, betas, reference }, out): the likeliest token, or -1.
Napi::Value read_logits(const Napi::CallbackInfo& info) {
  const Target& target = target_of(argument(info, 0, "target"));
  const Given question = argument(info, 2, "question"), into = argument(info, 3, "out");
  const Given given_betas = question.property("betas"), other = question.property("reference");
  const double token = question.property("target").number(-1, 2147483647.0);
  const auto logits = elements<float>(argument(info, 1, "logits")), betas = elements<float>(given_betas);
  const auto out = elements<double>(into);
  if (token != double(int32_t(token)) || token >= double(logits.length)) question.refuse("has a target that is no token");
  if (out.length != kLogitHead + betas.length) into.refuse("has not a number of every column");
  const float* reference = nullptr;
  if (!other.null()) {
    const auto row = elements<float>(other);
    if (row.length != logits.length) other.refuse("is not as long as the logits");
    reference = row.data;
  }
  return Napi::Number::New(info.Env(),
                           target.read_logits(logits.data, logits.length, {int32_t(token), betas.data, betas.length, reference}, out.data));
}

}  // namespace

void export_buffers(Napi::Env env, Napi::Object exports) {
  exports.Set("bits", Napi::Function::New<fill<uint32_t, &Target::bits>>(env, "bits"));
  exports.Set("uniform", Napi::Function::New<fill<float, &Target::uniform>>(env, "uniform"));
  exports.Set("normal", Napi::Function::New<fill<float, &Target::normal>>(env, "normal"));
  exports.Set("perturb", Napi::Function::New<perturb>(env, "perturb"));
  exports.Set("perturbAsync", Napi::Function::New<perturb_async>(env, "perturbAsync"));
  exports.Set("evolve", Napi::Function::New<evolve>(env, "evolve"));
  exports.Set("sumSquares", Napi::Function::New<sum_squares>(env, "sumSquares"));
  exports.Set("difference", Napi::Function::New<difference>(env, "difference"));
  exports.Set("readLogits", Napi::Function::New<read_logits>(env, "readLogits"));
}

}  // namespace brownian
