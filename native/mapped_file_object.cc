// A mapped file as JavaScript holds it: each method checks its arguments and starts work on threads.
#include "mapped_file_object.h"

#include <cstring>
#include <functional>
#include <memory>

#include "arguments.h"
#include "census.h"
#include "collisions.h"
#include "diffusion.h"
#include "draws.h"
#include "held.h"
#include "job.h"
#include "mapped_file.h"
#include "parallel.h"
#include "plan.h"
#include "ranges.h"
#include "redraws.h"
#include "step_index.h"
#include "visits.h"

namespace brownian {
namespace {

/// Weights that are moved in a fraction of a millisecond: going to a thread and back takes longer than fewer of them.
constexpr double kBrief = 300000;

using Shared = std::shared_ptr<Mapping>;

/// The result of work on these files, unless pages of theirs were lost meanwhile.
double sound(double result, const Shared& file, const Shared& source = nullptr) {
  file->check();
  if (source) source->check();
  return result;
}

class MappedFile : public Napi::ObjectWrap<MappedFile> {
 public:
  /// (target, threads, path, writable)
  explicit MappedFile(const Napi::CallbackInfo& info);

  Napi::Value size(const Napi::CallbackInfo& info);
  Napi::Value perturb(const Napi::CallbackInfo& info);
  Napi::Value copy_from(const Napi::CallbackInfo& info);
  Napi::Value sum_squares(const Napi::CallbackInfo& info);
  Napi::Value census(const Napi::CallbackInfo& info);
  Napi::Value difference(const Napi::CallbackInfo& info);
  Napi::Value index_steps(const Napi::CallbackInfo& info);
  Napi::Value redraw(const Napi::CallbackInfo& info);
  Napi::Value index_bytes(const Napi::CallbackInfo& info);
  Napi::Value ready_bytes(const Napi::CallbackInfo& info);
  Napi::Value plan_collide(const Napi::CallbackInfo& info);
  Napi::Value plan_diffuse(const Napi::CallbackInfo& info);
  Napi::Value plan_draw(const Napi::CallbackInfo& info);
  Napi::Value plan_evolve(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value prepare(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value drop(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

 private:
  const Shared& open(Napi::Env env) const;
  const Shared& writable(Napi::Env env) const;
  /// The range in arguments i and i + 1, after checking that it lies in the file.
  static FileRange range_at(const Napi::CallbackInfo& info, size_t i, const Mapping& file);
  /// The other file of a call, after checking that it has the range.
  static Shared source_of(const Given& given, const FileRange& range);
  /// Adds the tensors of a call's list, which the file and the plan's source have: [{ offset, length, move, parameters }].
  void add_tensors(Plan& plan, const Mapping& source, const Given& list, const Given* evolution) const;
  /// The plan of a call (plan, tick), which is of this file.
  std::shared_ptr<const Plan> plan_of(const Napi::CallbackInfo& info) const;
  /// The pristine file of a plan, unless it is closed.
  static Shared source_of(Napi::Env env, const Plan& plan);
  /// The plan of a call (source, tensors, ...) that begins.
  template <class P, class... More>
  Napi::Value planned(const Napi::CallbackInfo& info, const Given* evolution, More... more) const;

  Workers workers_{};
  Shared mapping_;
  std::shared_ptr<Background> background_;
  std::shared_ptr<Plan::Spare> spare_ = std::make_shared<Plan::Spare>();
};

}  // namespace

template <>
struct Tag<MappedFile> {
  static constexpr napi_type_tag value = {0x6d1f0c6a5f0b4be1, 0x9b1c2f7ad3e84c55};
};

namespace {

uint64_t stride_of(const Given& given) {
  if (const uint64_t stride = given.whole(kMostStride); stride > 0) return stride;
  given.refuse("is no number of ticks");
}

MappedFile& file_of(const Given& given) {
  if (!is_tagged<MappedFile>(given)) given.refuse("is no MappedFile");
  return *MappedFile::Unwrap(Napi::Object(given.env, given.value));
}

/// A method as a function that finds out what it is called on.
template <Napi::Value (MappedFile::*method)(const Napi::CallbackInfo&)>
Napi::Value call(const Napi::CallbackInfo& info) {
  return (file_of({info.Env(), info.This(), "this"}).*method)(info);
}

MappedFile::MappedFile(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MappedFile>(info) {
  workers_ = {&target_of(argument(info, 0, "target")), threads_of(argument(info, 1, "threads"))};
  const std::string path = argument(info, 2, "path").string();
  const bool writable = argument(info, 3, "writable").boolean();
  if (law_table() == nullptr) refuse(info.Env(), "the tables of the law are not set");
  try {
    mapping_ = std::make_shared<Mapping>(path, writable);
  } catch (const std::exception& error) {
    throw Napi::Error::New(info.Env(), error.what());
  }
  info.This().As<Napi::Object>().TypeTag(&Tag<MappedFile>::value);
}

const Shared& MappedFile::open(Napi::Env env) const {
  if (!mapping_) throw Napi::Error::New(env, "the file is closed");
  return mapping_;
}

const Shared& MappedFile::writable(Napi::Env env) const {
  if (!open(env)->writable()) throw Napi::Error::New(env, "the file is mapped for reading only");
  return mapping_;
}

FileRange MappedFile::range_at(const Napi::CallbackInfo& info, size_t i, const Mapping& file) {
  return range_of(argument(info, i, "offset"), argument(info, i + 1, "length"), file);
}

Shared MappedFile::source_of(const Given& given, const FileRange& range) {
  const Shared source = file_of(given).open(given.env);
  if (range.offset + range.length > source->size()) throw Napi::RangeError::New(given.env, "the range lies beyond the end of the source");
  return source;
}

Napi::Value MappedFile::size(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), double(open(info.Env())->size())); }

/// (offset, length, source or null, move): how many codes changed.
Napi::Value MappedFile::perturb(const Napi::CallbackInfo& info) {
  const GivenMove move(argument(info, 3, "move"));
  const Shared live = writable(info.Env());
  const FileRange range = range_at(info, 0, *live);
  const Given from = argument(info, 2, "source");
  const Shared source = from.null() ? nullptr : source_of(from, range);
  move.check(range.length);
  const auto owned = std::make_shared<OwnedMove>(move);
  return Job::start(info.Env(), [=, workers = workers_] {
    return sound(perturb_range(workers, live->data() + range.offset, source ? source->data() + range.offset : nullptr, range.length, owned->move),
                 live, source);
  });
}

/// (source, offset, length)
Napi::Value MappedFile::copy_from(const Napi::CallbackInfo& info) {
  const Shared live = writable(info.Env());
  const FileRange range = range_at(info, 1, *live);
  const Shared source = source_of(argument(info, 0, "source"), range);
  return Job::start(info.Env(), [=, threads = workers_.threads] {
    copy_range(threads, live->data() + range.offset, source->data() + range.offset, range.length);
    return sound(0, live, source);
  });
}

/// (offset, length, format): of a whole tensor that has its steps.
Napi::Value MappedFile::sum_squares(const Napi::CallbackInfo& info) {
  const Shared file = open(info.Env());
  const FileRange range = range_at(info, 0, *file);
  const Given given = argument(info, 2, "format");
  const Format format = format_of(given);
  if (steps_are_given(format)) given.refuse("has no steps");
  check_blocks(range.given, format, range.length);
  return Job::start(info.Env(), [=, workers = workers_] {
    return sound(sum_squares_range(workers, file->data() + range.offset, range.length, format.fields, nullptr, 1), file);
  });
}

/// (offset, length, format, columns or null): of a whole tensor.
Napi::Value MappedFile::census(const Napi::CallbackInfo& info) {
  const Shared file = open(info.Env());
  const FileRange range = range_at(info, 0, *file);
  const auto question = std::make_shared<CensusQuestion>(info, 2);
  question->check(range.given, range.length, 0);
  const auto rows = std::make_shared<CensusRows>();
  const auto work = [=, workers = workers_] {
    *rows = census_range(workers, file->data() + range.offset, range.length, *question, 0);
    return sound(0, file);
  };
  return Job::start(info.Env(), work, [=](Napi::Env env) { return census_array(env, *rows, question->classes); });
}

/// (offset, length, format, source): how many codes differ.
Napi::Value MappedFile::difference(const Napi::CallbackInfo& info) {
  const Shared file = open(info.Env());
  const FileRange range = range_at(info, 0, *file);
  const Format format = format_of(argument(info, 2, "format"));
  const Shared source = source_of(argument(info, 3, "source"), range);
  check_blocks(range.given, format, range.length);
  return Job::start(info.Env(), [=, workers = workers_] {
    return sound(difference_range(workers, file->data() + range.offset, source->data() + range.offset, range.length, format.fields), file, source);
  });
}

/// (offset, length, format): the index of a whole tensor.
Napi::Value MappedFile::index_steps(const Napi::CallbackInfo& info) {
  const Shared file = open(info.Env());
  const FileRange range = range_at(info, 0, *file);
  const Given given = argument(info, 2, "format");
  const Format format = format_of(given);
  if (!StepIndex::serves(format.fields)) given.refuse("has no steps on a uniform grid");
  check_blocks(range.given, format, range.length);
  const auto index = std::make_shared<StepIndex>(format.fields, range.length);
  const auto work = [=, workers = workers_] {
    index_range(workers, *index, file->data() + range.offset);
    return sound(0, file);
  };
  return Job::start(info.Env(), work, [=](Napi::Env env) { return hold(env, index); });
}

/// (source, [{ offset, length, index, move }]): how many codes changed in each of them.
Napi::Value MappedFile::redraw(const Napi::CallbackInfo& info) {
  const Given list = argument(info, 1, "tensors");
  const auto all = std::make_shared<Redraws>(writable(info.Env()), file_of(argument(info, 0, "source")).open(info.Env()));
  if (!list.array()) list.refuse("is not an array");
  for (uint32_t i = 0, count = list.property("length").word(); i < count; i++) all->add(list.element(i));
  const auto changed = std::make_shared<std::vector<double>>();
  const auto work = [=, workers = workers_] {
    *changed = redraw_ranges(workers, all->ranges());
    return sound(0, all->live, all->source);
  };
  return Job::start(info.Env(), work, [=](Napi::Env env) {
    auto counts = Napi::Array::New(env, changed->size());
    for (size_t i = 0; i < changed->size(); i++) counts.Set(uint32_t(i), (*changed)[i]);
    return counts;
  });
}

/// (index): bytes of it, and of its journals.
Napi::Value MappedFile::index_bytes(const Napi::CallbackInfo& info) {
  writable(info.Env());
  const auto index = held<StepIndex>(argument(info, 0, "index"));
  auto bytes = Napi::Array::New(info.Env(), 2);
  bytes.Set(uint32_t(0), double(index->index_bytes()));
  bytes.Set(uint32_t(1), double(index->journal_bytes()));
  return bytes;
}

/// (plan): bytes that hold its ticks ready; of null those that are kept for ticks to come, of any plan.
Napi::Value MappedFile::ready_bytes(const Napi::CallbackInfo& info) {
  const bool none = argument(info, 0, "plan").null();
  return Napi::Number::New(info.Env(), double(none ? spare_->bytes() : plan_of(info)->ready_bytes()));
}

void MappedFile::add_tensors(Plan& plan, const Mapping& source, const Given& list, const Given* evolution) const {
  if (!list.array()) list.refuse("is not an array");
  const auto count = list.property("length").word();
  for (uint32_t i = 0; i < count; i++) {
    const Given tensor = list.element(i), offset = tensor.property("offset"), length = tensor.property("length");
    const Given parameters = tensor.property("parameters");
    const GivenMove move(tensor.property("move"));
    const FileRange range = range_of(offset, length, *writable(list.env));
    if (range.offset + range.length > source.size()) throw Napi::RangeError::New(list.env, "the range lies beyond the end of the source");
    PlannedTensor planned = {std::make_shared<OwnedMove>(move), range.offset, move.check(range.length), nullptr, {}};
    if (evolution != nullptr) {
      const auto given = elements<float>(parameters);
      planned.evolution = &evolution_of(*workers_.target, *evolution, given, move.format);
      planned.parameters.assign(given.data, given.data + given.length);
    }
    plan.add(std::move(planned));
  }
}

template <class P, class... More>
Napi::Value MappedFile::planned(const Napi::CallbackInfo& info, const Given* evolution, More... more) const {
  const auto surplus = std::make_shared<std::vector<Plan::Made>>(spare_->lessen());
  if (background_ && !surplus->empty()) background_->start([surplus] { surplus->clear(); });
  const Shared source = file_of(argument(info, 0, "source")).open(info.Env());
  const auto plan = std::make_shared<P>(source, spare_, more...);
  add_tensors(*plan, *source, argument(info, 1, "tensors"), evolution);
  return hold<Plan>(info.Env(), plan);
}

/// (source, tensors, threshold): cells of these tensors that are drawn anew, with a chance of `threshold` of 2^32 each.
Napi::Value MappedFile::plan_collide(const Napi::CallbackInfo& info) {
  return planned<Collisions>(info, nullptr, argument(info, 2, "threshold").whole(4294967296.0));
}

/// (source, tensors, stride): weights of these tensors that move from where they are, each once in `stride` ticks.
Napi::Value MappedFile::plan_diffuse(const Napi::CallbackInfo& info) {
  return planned<Diffusion>(info, nullptr, stride_of(argument(info, 2, "stride")));
}

/// (source, tensors): tensors that are drawn anew.
Napi::Value MappedFile::plan_draw(const Napi::CallbackInfo& info) { return planned<Redraw>(info, nullptr); }

/// (source, tensors, evolution, stride): steps of an evolution, of which every weight takes one in `stride` ticks.
Napi::Value MappedFile::plan_evolve(const Napi::CallbackInfo& info) {
  const Given evolution = argument(info, 2, "evolution");
  return planned<Visits>(info, &evolution, stride_of(argument(info, 3, "stride")));
}

std::shared_ptr<const Plan> MappedFile::plan_of(const Napi::CallbackInfo& info) const {
  const Given given = argument(info, 0, "plan");
  const auto plan = held<Plan>(given);
  if (plan->end > writable(info.Env())->size()) given.refuse("is of another file");
  return plan;
}

Shared MappedFile::source_of(Napi::Env env, const Plan& plan) {
  if (Shared source = plan.source.lock()) return source;
  throw Napi::Error::New(env, "the file is closed");
}

/// (plan, tick): how many codes changed, or differ; a promise of it where that takes longer.
Napi::Value MappedFile::run(const Napi::CallbackInfo& info) {
  const auto plan = plan_of(info);
  const uint32_t tick = argument(info, 1, "tick").word();
  const Shared live = writable(info.Env()), source = source_of(info.Env(), *plan);
  const auto work = [=](Workers workers) { return sound(plan->run(workers, live->data(), source->data(), tick), live, source); };
  if (plan->expected(tick) < kBrief) return Napi::Number::New(info.Env(), work({workers_.target, 1}));
  return Job::start(info.Env(), [=, workers = workers_] { return work(workers); });
}

/// (plan, tick): what `run` would write, made in the background and to be written by `write`. Null where the system gives no thread.
Napi::Value MappedFile::prepare(const Napi::CallbackInfo& info) {
  const auto prepared = std::make_shared<Prepared>(plan_of(info), argument(info, 1, "tick").word());
  const Shared live = writable(info.Env()), source = source_of(info.Env(), *prepared->plan);
  if (!background_) background_ = Background::of_all();
  const bool started = background_->start([=, target = workers_.target] { prepared->make(*target, live->data(), source->data()); });
  return started ? hold(info.Env(), prepared) : info.Env().Null();
}

/// (what `prepare` returned): as `run`; what was not made by now is done now. Undefined where it is to be called again for the rest.
Napi::Value MappedFile::write(const Napi::CallbackInfo& info) {
  const Given given = argument(info, 0, "prepared");
  const Shared live = writable(info.Env());
  const auto prepared = held<Prepared>(given);
  if (prepared->plan->end > live->size()) given.refuse("is of another file");
  const Shared source = source_of(info.Env(), *prepared->plan);
  const auto work = [=](Workers workers) { return sound(prepared->write(workers, live->data(), source->data()), live, source); };
  if (prepared->weights_left() >= kBrief || prepared->bytes_made() >= Prepared::kBriefBytes)
    return Job::start(info.Env(), [=, workers = workers_] { return work(workers); });
  if (!prepared->write_some(*workers_.target, live->data(), source->data(), Prepared::kBytesATurn)) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), work({workers_.target, 1}));
}

/// (what `prepare` returned): it is not wanted any more.
Napi::Value MappedFile::drop(const Napi::CallbackInfo& info) {
  writable(info.Env());
  held<Prepared>(argument(info, 0, "prepared"))->drop();
  return info.Env().Undefined();
}

/// A promise, since to unmap takes a tenth of a millisecond a megabyte, and what the background has begun is waited for. Work under way keeps the
/// mapping until it is done.
Napi::Value MappedFile::close(const Napi::CallbackInfo& info) {
  return Job::start(info.Env(), [background = std::move(background_), mapping = std::move(mapping_)]() mutable {
    background.reset();
    mapping.reset();
    return 0.0;
  });
}

}  // namespace

void export_mapped_file(Napi::Env env, Napi::Object exports) {
  const Napi::Function type = MappedFile::DefineClass(env, "MappedFile", {});
  auto prototype = type.Get("prototype").As<Napi::Object>();
  prototype.DefineProperty(Napi::PropertyDescriptor::Accessor<call<&MappedFile::size>>("size"));
  const auto method = [&](const char* name, Napi::Function function) { prototype.Set(name, function); };
  method("perturb", Napi::Function::New<call<&MappedFile::perturb>>(env, "perturb"));
  method("copyFrom", Napi::Function::New<call<&MappedFile::copy_from>>(env, "copyFrom"));
  method("sumSquares", Napi::Function::New<call<&MappedFile::sum_squares>>(env, "sumSquares"));
  method("census", Napi::Function::New<call<&MappedFile::census>>(env, "census"));
  method("difference", Napi::Function::New<call<&MappedFile::difference>>(env, "difference"));
  method("indexSteps", Napi::Function::New<call<&MappedFile::index_steps>>(env, "indexSteps"));
  method("redraw", Napi::Function::New<call<&MappedFile::redraw>>(env, "redraw"));
  method("indexBytes", Napi::Function::New<call<&MappedFile::index_bytes>>(env, "indexBytes"));
  method("readyBytes", Napi::Function::New<call<&MappedFile::ready_bytes>>(env, "readyBytes"));
  method("planCollide", Napi::Function::New<call<&MappedFile::plan_collide>>(env, "planCollide"));
  method("planDiffuse", Napi::Function::New<call<&MappedFile::plan_diffuse>>(env, "planDiffuse"));
  method("planDraw", Napi::Function::New<call<&MappedFile::plan_draw>>(env, "planDraw"));
  method("planEvolve", Napi::Function::New<call<&MappedFile::plan_evolve>>(env, "planEvolve"));
  method("run", Napi::Function::New<call<&MappedFile::run>>(env, "run"));
  method("prepare", Napi::Function::New<call<&MappedFile::prepare>>(env, "prepare"));
  method("write", Napi::Function::New<call<&MappedFile::write>>(env, "write"));
  method("drop", Napi::Function::New<call<&MappedFile::drop>>(env, "drop"));
  method("close", Napi::Function::New<call<&MappedFile::close>>(env, "close"));
  exports.Set("MappedFile", type);
}

}  // namespace brownian
